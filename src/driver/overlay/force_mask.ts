// SPDX-License-Identifier: Apache-2.0
/**
 * Layers of which all files and directories have one mode and belong to this process (containers/storage, `force_mask`):
 * for file systems that keep no owners, and for stores that others read.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { joinPath, type LayerPath, ROOT } from "../../core/layer_path.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { OverrideDir } from "../../changeset/override_dir.ts";
import {
  formatOverride,
  OVERRIDE_XATTR,
  parseOverride,
  PROGRAM_OVERRIDE_XATTR,
} from "../../changeset/override_stat.ts";
import { addForm } from "./layer_form.ts";
import type { OverlayOptions } from "./options.ts";

const ROOT_MODE = 0o755;

/** Gives an unpacked tree the mode, and notes in the layer's directory that its attributes tell what objects are. */
export function maskLayer(dir: string, tree: string, mode: number): void {
  using shown = OverrideDir.open(tree);
  using plain = RootedDir.open(tree);
  // fuse-overlayfs heeds the attributes of a layer whose root has one.
  shown.setMode(ROOT, shown.stat(ROOT)?.mode ?? ROOT_MODE);
  maskBelow(plain, ROOT, mode);
  addForm(dir, "override");
}

/**
 * As {@link maskLayer}, for a layer that is still empty and will be written to.
 * @throws {StrataError} `NOT_SUPPORTED` without a mount program
 */
export function maskWritable(dir: string, { forceMask, mountProgram }: OverlayOptions): void {
  if (forceMask === undefined) return;
  if (mountProgram === undefined) {
    throw new StrataError(
      "NOT_SUPPORTED",
      'Cannot make a writable layer with "force_mask": the kernel does not know the attributes that tell what objects ' +
        'are; use the option "overlay2.mount_program" as well',
      { feature: "force_mask without a mount program" },
    );
  }
  maskLayer(dir, `${dir}/diff`, forceMask);
}

/**
 * Has a mount program show a writable layer's root as it is. fuse-overlayfs writes an attribute of its own there when it
 * finds none, and asks the file for it instead of the attribute that is there.
 */
export function tellRoot(dir: string): void {
  using plain = RootedDir.open(`${dir}/diff`);
  if (plain.xattrs(ROOT).has(PROGRAM_OVERRIDE_XATTR)) return;
  using shown = OverrideDir.open(`${dir}/diff`);
  const stat = shown.stat(ROOT);
  if (stat === undefined) return;
  const { uid, gid, mode, rdevMajor, rdevMinor } = stat;
  addForm(dir, "override");
  plain.setXattr(ROOT, PROGRAM_OVERRIDE_XATTR, formatOverride({ uid, gid, mode, rdevMajor, rdevMinor }));
}

/** Takes back what {@link tellRoot} did, for a layer that is written otherwise than through the program. */
export function untellRoot(dir: string): void {
  using plain = RootedDir.open(`${dir}/diff`);
  if (plain.xattrs(ROOT).has(PROGRAM_OVERRIDE_XATTR)) plain.removeXattr(ROOT, PROGRAM_OVERRIDE_XATTR);
}

/**
 * Has a mount program show a writable layer that got its files otherwise than through the program: where the root has the
 * program's attribute, fuse-overlayfs asks every object for it.
 */
export function tellProgram(dir: string): void {
  using plain = RootedDir.open(`${dir}/diff`);
  const pending = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const type = plain.stat(path)?.type;
    if (type === "dir") { for (const { name } of plain.list(path)) pending.push(joinPath(path, name)); }
    const said = type === "dir" || type === "file" ? plain.xattrs(path).get(OVERRIDE_XATTR) : undefined;
    const stat = said && parseOverride(said);
    if (stat === undefined) continue;
    const { uid, gid, mode, rdevMajor, rdevMinor } = stat;
    plain.setXattr(path, PROGRAM_OVERRIDE_XATTR, formatOverride({ uid, gid, mode, rdevMajor, rdevMinor }));
  }
}

function maskBelow(tree: RootedDir, dir: LayerPath, mode: number): void {
  for (const { name } of tree.list(dir)) {
    const path = joinPath(dir, name);
    const type = tree.stat(path)?.type;
    if (type === "dir") maskBelow(tree, path, mode);
    else if (type === "file") tree.setMode(path, mode);
  }
  tree.setMode(dir, mode);
}
