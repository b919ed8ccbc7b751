// SPDX-License-Identifier: Apache-2.0
/**
 * Hard links in a comparison of trees: which files must be packed although nothing in them differs.
 *
 * A layer can link only what it carries. So a file that is unchanged by itself counts as modified when the layer, laid
 * over the old tree, would otherwise part it from a name it is linked with, or leave it linked with one it is not.
 *
 * @module
 */
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import type { LayerPath } from "../core/layer_path.ts";

interface Member {
  readonly path: LayerPath;
  readonly now: FileStat;
  /** What the old tree has at the path. */
  readonly before: FileStat | undefined;
}

/** Gathers the linked files of a tree while it is compared. */
export class LinkGroups {
  readonly #groups = new Map<string, Member[]>();

  /** Takes a file of the new tree, no directory; one without links in either tree is passed over. */
  note(member: Member): void {
    const { now, before } = member;
    const linkedBefore = before !== undefined && before.type !== "dir" && before.nlink > 1;
    if (now.nlink === 1 && !linkedBefore) return;
    const key = inodeKey(now);
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, [member]);
    else group.push(member);
  }

  /** The files of every group that does not survive as it is. `isChanged` tells which are reported already. */
  *broken(isChanged: (path: LayerPath) => boolean): Generator<LayerPath> {
    for (const group of this.#groups.values()) {
      if (group.some(({ path }) => isChanged(path)) || !isCarriedOver(group)) {
        for (const { path } of group) yield path;
      }
    }
  }
}

/**
 * Whether the old tree has the same names linked with each other and with no others. The old count of links may include
 * names that its tree hides; then the group is packed without need, which is harmless.
 */
function isCarriedOver(group: readonly Member[]): boolean {
  const [first] = group;
  if (first?.before === undefined) return false;
  const keyBefore = inodeKey(first.before);
  const isSameObject = keyBefore === inodeKey(first.now);
  return group.every(({ before }) => before !== undefined && inodeKey(before) === keyBefore) &&
    (isSameObject || first.before.nlink === group.length);
}
