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
  isOverrideXattr,
  OVERRIDE_XATTR,
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
 * Has a mount program show a writable layer as it is. Where the root has fuse-overlayfs' own attribute, which it writes when
 * it finds none, it asks every object for that one, and not for the layer's. The root gets it last, so that one who was
 * killed is followed by one who begins again.
 */
export function tellProgram(dir: string): void {
  using plain = RootedDir.open(`${dir}/diff`);
  if (plain.xattrs(ROOT).has(PROGRAM_OVERRIDE_XATTR)) return;
  using shown = OverrideDir.open(`${dir}/diff`);
  addForm(dir, "override");
  for (const path of objectsIn(plain).reverse()) {
    const stat = shown.stat(path);
    if (stat === undefined) continue;
    const { uid, gid, mode, rdevMajor, rdevMinor } = stat;
    plain.setXattr(path, PROGRAM_OVERRIDE_XATTR, formatOverride({ uid, gid, mode, rdevMajor, rdevMinor }));
  }
}

/** Has the layer's attributes alone tell what its objects are, for one that is written otherwise than through the program. */
export function untellProgram(dir: string): void {
  using plain = RootedDir.open(`${dir}/diff`);
  using shown = OverrideDir.open(`${dir}/diff`);
  for (const path of objectsIn(plain)) {
    const stat = shown.stat(path);
    if (stat === undefined) continue;
    plain.setXattr(path, OVERRIDE_XATTR, formatOverride(stat));
    for (const name of plain.xattrs(path).keys()) {
      if (isOverrideXattr(name) && name !== OVERRIDE_XATTR) plain.removeXattr(path, name);
    }
  }
}

/** What can have such attributes, directories before what lies in them. */
function objectsIn(tree: RootedDir): LayerPath[] {
  const objects = [ROOT];
  // It grows on the way.
  for (const dir of objects) {
    if (tree.stat(dir)?.type !== "dir") continue;
    for (const { name } of tree.list(dir)) {
      const path = joinPath(dir, name);
      const type = tree.stat(path)?.type;
      if (type === "dir" || type === "file") objects.push(path);
    }
  }
  return objects;
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
