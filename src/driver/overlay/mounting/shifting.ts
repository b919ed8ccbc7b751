// SPDX-License-Identifier: Apache-2.0
/**
 * Whether overlays can be mounted on mapped lowers in a home: found by doing it, which takes two programs, and therefore
 * once for each map.
 *
 * @module
 */
import { hasCode } from "../../../core/errors.ts";
import { formatIdMap, type IdMappings, rootPair } from "../../../core/id_map.ts";
import { randomId } from "../../../core/ids.ts";
import { hasErrno } from "../../../host/errno.ts";
import { ensureDir, removeTreeAt, statPath } from "../../../host/files.ts";
import { mountIdMapped, openUserNamespace } from "../../../host/namespaces/idmapped_mount.ts";
import { mount, unmountBelow } from "../../parts/mounting.ts";
import { overlayMountData } from "./mount_data.ts";
import { PROBE_PREFIX } from "./probe.ts";

/** How a trial ended. */
export interface ShiftingTrial {
  /** Why overlays cannot be mounted so, as a clause; absent when they can. */
  readonly refusal?: string;
  /** `lasting`: the next trial would end alike. `passing`: something was lacking that has nothing to do with it. */
  readonly kind: "lasting" | "passing";
}

/** Maps of which a home remembers whether they can be mounted. A host has one, or one for each container. */
const KNOWN_MAX = 1000;
const MODE = 0o700;

/** The kernel, or the file system, does not do it: for anybody, or for who asks. */
const REFUSALS = ["EINVAL", "ENOSYS", "EOPNOTSUPP", "EPERM", "EACCES"] as const;
/** How mount(8) tells `EINVAL` and `ENODEV`. */
const REFUSED_MOUNT = /wrong fs type|bad option|unknown filesystem type/i;

/** What is known of one home. */
export class Shifting {
  readonly #attempt: (mappings: IdMappings) => Promise<ShiftingTrial>;
  readonly #known = new Map<string, Promise<ShiftingTrial>>();

  /** @param attempt how it is tried; absent, {@link tryShifting} */
  constructor(
    home: string,
    attempt: (mappings: IdMappings) => Promise<ShiftingTrial> = (maps) => tryShifting(home, maps),
  ) {
    this.#attempt = attempt;
  }

  /** Why overlays on lowers with these maps cannot be mounted, as a clause; `undefined` when they can. */
  async refusal(mappings: IdMappings): Promise<string | undefined> {
    const key = `${formatIdMap(mappings.uids)} ${formatIdMap(mappings.gids)}`;
    const trial = this.#known.get(key) ?? this.#begin(key, mappings);
    let kind: ShiftingTrial["kind"] = "passing";
    try {
      const outcome = await trial;
      kind = outcome.kind;
      return outcome.refusal;
    } finally {
      if (kind === "passing" && this.#known.get(key) === trial) this.#known.delete(key);
    }
  }

  /** Who asks meanwhile gets the same answer. The oldest is forgotten. */
  #begin(key: string, mappings: IdMappings): Promise<ShiftingTrial> {
    const trial = this.#attempt(mappings);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= KNOWN_MAX) this.#known.delete(oldest);
    this.#known.set(key, trial);
    return trial;
  }
}

/** Mounts an overlay on a lower whose owners are mapped, and looks whose the lower's files are there. */
export async function tryShifting(home: string, mappings: IdMappings): Promise<ShiftingTrial> {
  const dir = `${home}/${PROBE_PREFIX}${randomId()}`;
  try {
    await mountMapped(dir, mappings);
    const owner = statPath(`${dir}/merged/seen`);
    const root = rootPair(mappings);
    return owner?.uid === root.uid && owner.gid === root.gid
      ? { kind: "lasting" }
      : { kind: "lasting", refusal: "the kernel does not map an overlay's lowers" };
  } catch (error) {
    return { kind: isLasting(error) ? "lasting" : "passing", refusal: messageOf(error) };
  } finally {
    await unmountBelow(dir);
    removeTreeAt(dir);
  }
}

async function mountMapped(dir: string, mappings: IdMappings): Promise<void> {
  for (const name of ["", "lower", "upper", "work", "mapped", "merged", "lower/seen"]) {
    ensureDir(`${dir}/${name}`, MODE);
  }
  using namespace = await openUserNamespace(mappings);
  mountIdMapped({ source: `${dir}/lower`, target: `${dir}/mapped`, namespace, access: "read-only" });
  const options = overlayMountData({
    lowers: ["mapped"],
    upper: { diff: "upper", work: "work" },
    switches: [],
    extra: [],
  });
  await mount({ cwd: dir, type: "overlay", source: "overlay", target: "merged", options });
}

/** Whether an error says that it cannot be done here, and not that just now something is full, or did not come to its end. */
function isLasting(error: unknown): boolean {
  const refused = (each: unknown): boolean => {
    return hasErrno(each, ...REFUSALS) || hasCode(each, "INVALID_ARGUMENT") || hasCode(each, "NOT_PERMITTED");
  };
  if (refused(error) || (error instanceof Error && refused(error.cause))) return true;
  return hasCode(error, "IO") && error.detail.syscall === "mount" && REFUSED_MOUNT.test(error.message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
