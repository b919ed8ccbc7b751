// SPDX-License-Identifier: Apache-2.0
/**
 * What the kernel and the file system below the driver's home can do, found out by doing it.
 *
 * @module
 */
import { randomId } from "../../core/ids.ts";
import { joinPath, type LayerPath, ROOT } from "../../core/layer_path.ts";
import { type ByteString, fromText } from "../../core/bytes.ts";
import { ensureDir, listNames, nearestDirectory, pathExists, realPath, removeTreeAt } from "../../host/files.ts";
import { hasErrno } from "../../host/errno.ts";
import { effectiveUser } from "../../host/process.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import { mount, unmountBelow } from "../mounting.ts";
import { kernelSwitches, overlayMountData } from "./options.ts";
import { writeWhiteouts } from "./whiteouts.ts";

/** Begins the names of the directories in which things are tried. */
export const PROBE_PREFIX = ".overlay-probe-";

const PARAMETERS = "/sys/module/overlay/parameters";
const NAMES = ["lower1", "lower2", "upper", "work", "merged"];

const HIDDEN = pathOf("hidden");
const OPAQUE = pathOf("opaque");
const SEEN = pathOf("seen");

/** Why overlay layers cannot be kept and mounted in this home, as a clause; `undefined` when they can. */
export async function probeOverlay(home: string): Promise<string | undefined> {
  if (effectiveUser() !== 0) return 'only root may mount overlays; run as root, or use driver "vfs"';
  const dir = `${realPath(nearestDirectory(home))}/${PROBE_PREFIX}${randomId()}`;
  try {
    for (const name of ["", ...NAMES]) ensureDir(`${dir}/${name}`, 0o700);
    if (directoryTypes(dir) === "no") {
      return "the file system gives no types in directories (d_type); format it with them (xfs: ftype=1)";
    }
    return await tryMount(dir);
  } catch (error) {
    // Where nothing can be written, nothing can be tried; layers can still be read there, and removed from a full disk.
    if (hasErrno(error, "ENOSPC", "EDQUOT", "EROFS")) return undefined;
    return error instanceof Error ? error.message : String(error);
  } finally {
    await unmountBelow(dir);
    if (pathExists(dir)) removeTreeAt(dir);
  }
}

/** The mount options that keep layers plain, as far as this kernel has them. Loads the kernel's module if need be. */
export async function switchesFor(home: string): Promise<readonly string[]> {
  if (!pathExists(PARAMETERS)) await probeOverlay(home);
  return currentSwitches();
}

/** Whether directories tell the types of their entries. Overlayfs shows whiteouts as files where they do not. */
export function directoryTypes(dir: string): "yes" | "no" {
  using root = RootedDir.open(dir);
  return root.list(ROOT).every(({ type }) => type !== undefined) ? "yes" : "no";
}

/** Mounts two lowers below an upper with both kinds of whiteout, and looks whether they hide what they should. */
async function tryMount(dir: string): Promise<string | undefined> {
  using lower = RootedDir.open(`${dir}/lower1`);
  using upper = RootedDir.open(`${dir}/upper`);
  lower.mkdir(OPAQUE, 0o700);
  for (const path of [HIDDEN, SEEN, joinPath(OPAQUE, HIDDEN)]) lower.create(path, 0o600).close();
  upper.mkdir(OPAQUE, 0o700);
  using below = new PlainView(RootedDir.open(`${dir}/lower1`));
  writeWhiteouts({ tree: upper, changeset: { whiteouts: [HIDDEN], opaques: [OPAQUE] }, below });
  const options = overlayMountData({
    lowers: ["lower2", "lower1"],
    upper: { diff: "upper", work: "work" },
    switches: currentSwitches(),
    extra: [],
  });
  await mount({ cwd: dir, type: "overlay", source: "overlay", target: "merged", options });
  using merged = RootedDir.open(`${dir}/merged`);
  const names = merged.list(ROOT).map(({ name }) => name);
  if (names.join() === [OPAQUE, SEEN].join() && merged.list(OPAQUE).length === 0) return undefined;
  return "the kernel does not honour whiteouts on this file system; use another file system for the store";
}

function currentSwitches(): readonly string[] {
  return pathExists(PARAMETERS) ? kernelSwitches(listNames(PARAMETERS)) : [];
}

function pathOf(name: string): LayerPath {
  return joinPath(ROOT, fromText(name) satisfies ByteString);
}
