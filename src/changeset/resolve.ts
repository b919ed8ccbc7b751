// SPDX-License-Identifier: Apache-2.0
/**
 * Following symlinks inside a tree, as a chroot would: an absolute target starts again at the tree's root, and `..`
 * stays at the root. path_resolution(7).
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { componentsOf, joinPath, type LayerPath, parentOf, ROOT, stepsOf } from "../core/layer_path.ts";
import { SYMLINKS_MAX } from "../core/limits.ts";

/** The text of the symlink at a path without symlinks in its parents; `undefined` when no symlink is there. */
export type LinkReader = (path: LayerPath) => ByteString | undefined;

/**
 * The path with every symlink followed, the last one too. Components that do not exist are kept as they are.
 * @throws {StrataError} `INVALID_ARCHIVE` for a loop
 */
export function resolvePath(path: LayerPath, linkAt: LinkReader): LayerPath {
  const pending: ByteString[] = componentsOf(path).reverse();
  let resolved = ROOT;
  let links = 0;
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    if (step === "..") {
      resolved = parentOf(resolved);
      continue;
    }
    const next = joinPath(resolved, step);
    const target = linkAt(next);
    if (target === undefined) {
      resolved = next;
      continue;
    }
    if (++links > SYMLINKS_MAX) refuseLoop(path);
    if (target.startsWith("/")) resolved = ROOT;
    pending.push(...stepsOf(target).reverse());
  }
  return resolved;
}

/**
 * Refuses a path that leads through too many symlinks.
 * @throws {StrataError} `INVALID_ARCHIVE`, always
 */
export function refuseLoop(path: LayerPath): never {
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot resolve "${display(path)}": it leads through more than ${SYMLINKS_MAX} symlinks, most likely in a loop`,
    { stage: "unpack", entry: display(path) },
    { hint: "Remove the loop of symlinks from the layer that brings it" },
  );
}
