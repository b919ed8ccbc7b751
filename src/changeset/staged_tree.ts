// SPDX-License-Identifier: Apache-2.0
/**
 * The tree that is being unpacked: finding the place of a member's name, making the directories on the way, and moving
 * aside what is there. The names in memory and those on disk change together, here and in `unpack.ts`.
 *
 * @module
 */
import { display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { type IdShift, ROOT_OWNER, shiftOwner } from "../core/id_map.ts";
import { baseOf, joinPath, type LayerPath, parentOf, ROOT } from "../core/layer_path.ts";
import type { PathLimits } from "../core/layer_path.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset, Ownership, PendingLink } from "./change.ts";
import { giveOwner } from "./give_owner.ts";
import type { Displaced } from "./displaced.ts";
import { type DirNode, type DirPlace, newDir, type StagedNames, type StagedNode, type Times } from "./staged_names.ts";

/** A name that a member is about to get. */
export interface Slot {
  /** Without symlinks in its parents. */
  readonly path: LayerPath;
  readonly parent: DirNode;
}

/** What the staged tree is made of. */
export interface StagedTreeOptions {
  readonly tree: RootedDir;
  readonly names: StagedNames;
  readonly displaced: Displaced;
  readonly ownership: Ownership;
  /** From the archive's ids to those on disk. */
  readonly shift: IdShift;
  readonly limits: PathLimits;
}

/** The mode of a directory without a member of its own, as long as none is known below. */
export const IMPLIED_MODE = 0o755;
const IMPLIED_TIMES: Times = { atime: { sec: 0, nsec: 0 }, mtime: { sec: 0, nsec: 0 } };

/** What has the name now. */
export function nodeAt(slot: Slot): StagedNode | undefined {
  return slot.parent.children.get(baseOf(slot.path));
}

/** Gives the name to an object that the tree has there by now. */
export function occupy(slot: Slot, node: StagedNode): void {
  slot.parent.children.set(baseOf(slot.path), node);
}

/** The tree on disk together with its names. */
export class StagedTree {
  readonly #options: StagedTreeOptions;

  /** Works on what it is given; all of it stays the caller's. */
  constructor(options: StagedTreeOptions) {
    this.#options = options;
  }

  /** The place of a name, its parents made where they are missing. */
  slotAt(name: LayerPath): Slot {
    const { path: dir, nearest } = this.enter(parentOf(name));
    const path = joinPath(dir, baseOf(name));
    this.#checkLength(path);
    return { path, parent: nearest };
  }

  /** As {@link StagedTree.slotAt}, with nothing there any more. */
  freeSlot(name: LayerPath): Slot {
    const slot = this.slotAt(name);
    if (nodeAt(slot) !== undefined) this.vacate(slot);
    return slot;
  }

  /** Takes away what has the name. */
  vacate(slot: Slot): void {
    const node = nodeAt(slot);
    if (node === undefined) return;
    this.#options.displaced.remove(slot.path, node);
    slot.parent.children.delete(baseOf(slot.path));
  }

  /** The directory that a path means, made where it is missing. */
  enter(path: LayerPath): DirPlace {
    const place = this.#options.names.resolveDir(path);
    let nearest = place.nearest;
    for (const missing of place.missing) {
      this.#checkLength(missing);
      this.#options.tree.mkdir(missing, IMPLIED_MODE);
      this.#applyImplied(missing);
      const node = newDir();
      nearest.children.set(baseOf(missing), node);
      nearest = node;
    }
    return place.missing.length === 0 ? place : { path: place.path, nearest, missing: [] };
  }

  /** Gives directories their times, now that nothing is added any more, and tells what the tree cannot express. */
  finish(): Pick<Changeset, "impliedDirs" | "pendingLinks"> {
    const { tree, names } = this.#options;
    const impliedDirs: LayerPath[] = [];
    const pendingLinks: PendingLink[] = [];
    if (names.root.times === undefined) this.#applyImplied(ROOT);
    for (const [path, node] of names.walk()) {
      if (node.kind === "pending") pendingLinks.push({ path, target: node.target });
      if (node.kind !== "dir") continue;
      if (node.times === undefined) impliedDirs.push(path);
      tree.setTimes(path, node.times ?? IMPLIED_TIMES);
    }
    return { impliedDirs, pendingLinks };
  }

  #applyImplied(dir: LayerPath): void {
    const { tree, ownership, shift } = this.#options;
    const { uid, gid } = shiftOwner(shift, ROOT_OWNER);
    giveOwner(ownership, () => tree.setOwner(dir, uid, gid));
    if (dir === ROOT) tree.setMode(ROOT, IMPLIED_MODE);
  }

  /** A name within the limit can stand for a path beyond it once symlinks are followed. */
  #checkLength(path: LayerPath): void {
    const max = this.#options.limits.pathBytesMax;
    if (path.length < max) return;
    const entry = display(path.slice(0, 80) as LayerPath);
    throw new StrataError(
      "LIMIT_EXCEEDED",
      `Cannot use the path "${entry}…": with its symlinks followed it passes pathBytesMax (${max}); have the layer rebuilt`,
      { limit: "pathBytesMax", max, entry },
    );
  }
}
