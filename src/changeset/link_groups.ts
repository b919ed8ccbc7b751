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

/**
 * Whether every name that both trees have is looked at, so that it is known how many names of the old tree an object has;
 * else the object's count of links must do, less those that are seen to have gone. It may include names that the tree hides, or
 * that lie outside of it.
 */
export type Walk = "whole trees" | "some names";

/** Gathers the linked files of a tree while it is compared. */
export class LinkGroups {
  readonly #walk: Walk;
  readonly #groups = new Map<string, Member[]>();
  /** By object of the old tree: names of which nothing is left but perhaps a directory. */
  readonly #gone = new Map<string, number>();

  constructor(walk: Walk) {
    this.#walk = walk;
  }

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

  /** Takes a name that was a file's of the old tree, and is none's now. */
  noteGone(before: FileStat): void {
    if (before.type !== "dir" && before.nlink > 1) count(this.#gone, inodeKey(before));
  }

  /** The files of every group that does not survive as it is. `isChanged` tells which are reported already. */
  *broken(isChanged: (path: LayerPath) => boolean): Generator<LayerPath> {
    const namesOf = this.#walk === "whole trees" ? this.#countNames(isChanged) : this.#countLinks(isChanged);
    for (const group of this.#groups.values()) {
      if (group.some(({ path }) => isChanged(path)) || !isCarriedOver(group, namesOf)) {
        for (const { path } of group) yield path;
      }
    }
  }

  /** By object of the old tree: its names that still are what they were. */
  #countNames(isChanged: (path: LayerPath) => boolean): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { path, before } of [...this.#groups.values()].flat()) {
      if (before !== undefined && !isChanged(path)) count(counts, inodeKey(before));
    }
    return counts;
  }

  /** The same, as far as counts of links tell. */
  #countLinks(isChanged: (path: LayerPath) => boolean): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { path, before } of [...this.#groups.values()].flat()) {
      if (before === undefined || before.type === "dir") continue;
      const key = inodeKey(before);
      const left = counts.get(key) ?? before.nlink - (this.#gone.get(key) ?? 0);
      counts.set(key, isChanged(path) ? left - 1 : left);
    }
    return counts;
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/**
 * Whether the old tree has the same names linked with each other and with no others. Where the count of links is too high, the
 * group is packed without need, which is harmless.
 */
function isCarriedOver(group: readonly Member[], namesOf: ReadonlyMap<string, number>): boolean {
  const [first] = group;
  if (first?.before === undefined) return false;
  const keyBefore = inodeKey(first.before);
  const isSameObject = keyBefore === inodeKey(first.now);
  return group.every(({ before }) => before !== undefined && inodeKey(before) === keyBefore) &&
    (isSameObject || namesOf.get(keyBefore) === group.length);
}
