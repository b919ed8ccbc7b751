// SPDX-License-Identifier: Apache-2.0
/**
 * One overlay mount, made to see what the kernel does on a file system with the options that layers are mounted with.
 *
 * @module
 */
import { type ByteString, fromText } from "../../../core/bytes.ts";
import { joinPath, type LayerPath, ROOT } from "../../../core/layer_path.ts";
import { hasErrno } from "../../../host/errno.ts";
import { ensureDir } from "../../../host/files.ts";
import { RootedDir } from "../../../host/rooted_dir.ts";
import { PlainView } from "../../../changeset/plain_view.ts";
import { mount, unmountBelow } from "../../parts/mounting.ts";
import { type OverlayMount, overlayMountData } from "./mount_data.ts";
import { markName, type MarkSpace, type Mounter, overlayDialect, writeWhiteouts } from "../whiteouts.ts";

/** What overlayfs does here. */
export interface OverlayTraits {
  /** Whether directories tell the types of their entries. Overlayfs shows whiteouts as files where they do not. */
  readonly directoryTypes: "yes" | "no";
  /** Why an upper directory does not tell all that a mount changed, as a clause; absent when it does. */
  readonly nativeDiffRefusal?: string;
  /** Whether files can get into an upper directory without their content. */
  readonly metacopy: "yes" | "no";
  /** Whether mounts can leave syncing out. */
  readonly volatile: "yes" | "no";
}

/** What is tried, and where. */
export interface Trial {
  /** An empty directory; mounts may be left in it when this throws. */
  readonly dir: string;
  readonly marks: MarkSpace;
  readonly mounter: Mounter;
  readonly mountBy: TrialMount;
}

/** Mounts as layers are to be mounted: at `target`, all paths relative to `cwd`. */
export type TrialMount = (
  overlay: Omit<OverlayMount, "switches"> & { readonly cwd: string; readonly target: string },
) => Promise<void>;

/** Mounts by the kernel's overlayfs. */
export function byKernel(switches: readonly string[]): TrialMount {
  return async ({ cwd, target, ...overlay }) => {
    await mount({
      cwd,
      target,
      type: "overlay",
      source: "overlay",
      options: overlayMountData({ ...overlay, switches }),
    });
  };
}

const NAMES = ["lower1", "lower2", "upper", "work", "merged"];
const HIDDEN = pathOf("hidden");
const OPAQUE = pathOf("opaque");
const SEEN = pathOf("seen");
const MOVED = pathOf("moved");
const CREATED = joinPath(OPAQUE, fromText("created"));

/**
 * Mounts two lowers below an upper, the upper one with both kinds of whiteout, and changes what shows.
 * @throws {StrataError} when the mount fails
 * @returns the traits, or a clause: why layers cannot be kept here
 */
export async function tryOverlay(trial: Trial): Promise<OverlayTraits | string> {
  const { dir } = trial;
  for (const name of NAMES) ensureDir(`${dir}/${name}`, 0o700);
  if (directoryTypes(dir) === "no") {
    return "the file system gives no types in directories (d_type); format it with them (xfs: ftype=1)";
  }
  prepare(trial);
  const volatile = await mountTrial(trial);
  try {
    using merged = RootedDir.open(`${dir}/merged`);
    if (!hidesWhiteouts(merged)) {
      return "the kernel does not honour whiteouts on this file system; use another file system for the store";
    }
    return { directoryTypes: "yes", volatile, ...traitsOf(merged, trial) };
  } finally {
    await unmountBelow(dir);
  }
}

/** Whether directories tell the types of their entries. */
export function directoryTypes(dir: string): "yes" | "no" {
  using root = RootedDir.open(dir);
  return root.list(ROOT).every(({ type }) => type !== undefined) ? "yes" : "no";
}

function prepare({ dir, marks, mounter }: Trial): void {
  using lower = RootedDir.open(`${dir}/lower1`);
  using middle = RootedDir.open(`${dir}/lower2`);
  for (const path of [OPAQUE, MOVED]) lower.mkdir(path, 0o700);
  for (const path of [HIDDEN, SEEN, joinPath(OPAQUE, HIDDEN)]) lower.create(path, 0o600).close();
  middle.mkdir(OPAQUE, 0o700);
  using below = new PlainView(RootedDir.open(`${dir}/lower1`));
  writeWhiteouts({ tree: middle, changeset: { whiteouts: [HIDDEN], opaques: [OPAQUE] }, below, marks, mounter });
}

/** Mounts without syncing if that can be done, and else with it. */
async function mountTrial({ dir, mountBy }: Trial): Promise<OverlayTraits["volatile"]> {
  const overlay = { cwd: dir, target: "merged", lowers: ["lower2", "lower1"], upper: { diff: "upper", work: "work" } };
  try {
    await mountBy({ ...overlay, extra: ["volatile"] });
    return "yes";
  } catch {
    await mountBy({ ...overlay, extra: [] });
    return "no";
  }
}

function hidesWhiteouts(merged: RootedDir): boolean {
  const names = merged.list(ROOT).map(({ name }) => name);
  return names.join() === [MOVED, OPAQUE, SEEN].join() && merged.list(OPAQUE).length === 0;
}

/** Copies up a directory and a file, renames a directory, and looks what marks the upper one gets. */
function traitsOf(merged: RootedDir, { dir, marks }: Trial): Pick<OverlayTraits, "nativeDiffRefusal" | "metacopy"> {
  merged.create(CREATED, 0o600).close();
  merged.setMode(SEEN, 0o640);
  const renamed = renameDir(merged);
  using upper = RootedDir.open(`${dir}/upper`);
  const metacopy = upper.xattrs(SEEN).has(markName(marks, "metacopy")) ? "yes" : "no";
  if (overlayDialect(marks).isOpaque(upper, OPAQUE)) {
    return { metacopy, nativeDiffRefusal: "the kernel copies marks of opaque directories up; it is older than 4.8" };
  }
  if (renamed !== undefined && upper.xattrs(renamed).has(markName(marks, "redirect"))) {
    return { metacopy, nativeDiffRefusal: "the kernel notes renamed directories as redirects" };
  }
  return { metacopy };
}

/** The new name; `undefined` when the kernel leaves renaming to the caller, as it does without redirects. */
function renameDir(merged: RootedDir): LayerPath | undefined {
  const renamed = pathOf("renamed");
  try {
    merged.rename(MOVED, renamed);
    return renamed;
  } catch (error) {
    if (hasErrno(error, "EXDEV")) return undefined;
    throw error;
  }
}

function pathOf(name: string): LayerPath {
  return joinPath(ROOT, fromText(name) satisfies ByteString);
}
