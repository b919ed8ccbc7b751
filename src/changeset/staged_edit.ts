// SPDX-License-Identifier: Apache-2.0
/**
 * Completing an unpacked tree with what is below it: the metadata of directories that it only implies, and copies of
 * objects to which it links. Directories that get new names meanwhile keep their times.
 *
 * @module
 */
import type { FileStat } from "../core/file_stat.ts";
import { NO_SHIFT, ROOT_OWNER, shiftOwner } from "../core/id_map.ts";
import { ancestorsOf, type LayerPath, parentOf } from "../core/layer_path.ts";
import { copyMetadata, copyObject, type CopyRoute } from "./copy_object.ts";
import type { Changeset } from "./change.ts";
import { giveOwner } from "./give_owner.ts";
import type { LowerTree } from "./lower_tree.ts";

/** What is edited. */
export interface StagedEditOptions {
  /** From the view below into the staged tree. */
  readonly route: CopyRoute;
  readonly lower: LowerTree;
  readonly changeset: Changeset;
}

const IMPLIED_MODE = 0o755;

/** Edits a staged tree; {@link StagedEdit.finish} puts metadata and times right. */
export class StagedEdit {
  readonly #route: CopyRoute;
  readonly #lower: LowerTree;
  readonly #implied: Set<LayerPath>;
  /** Directories with a member of their own whose times were disturbed, as they were. */
  readonly #disturbed = new Map<LayerPath, FileStat>();

  /** Changes nothing yet. */
  constructor({ route, lower, changeset }: StagedEditOptions) {
    this.#route = route;
    this.#lower = lower;
    this.#implied = new Set(changeset.impliedDirs);
  }

  /** Directories of the tree without a member of their own, new ones included. */
  get impliedDirs(): LayerPath[] {
    return [...this.#implied];
  }

  /** Copies an object from below, its parents implied. */
  copyUp(source: LayerPath, target: LayerPath, stat: FileStat): void {
    for (const dir of ancestorsOf(target)) this.#implyDir(dir);
    this.#disturb(parentOf(target));
    copyObject(this.#route, { source, target, stat });
  }

  /** Gives an object of the tree a second name. */
  link(existing: LayerPath, path: LayerPath): void {
    this.#disturb(parentOf(path));
    this.#route.to.link(existing, path);
  }

  /** Implied directories become what shows of them from below; disturbed ones get their times back. */
  finish(): void {
    for (const dir of this.#implied) {
      const below = this.#lower.visible(dir);
      if (below?.type !== "dir") continue;
      copyMetadata(this.#route, { source: dir, target: dir, stat: below });
      this.#route.to.setTimes(dir, below);
    }
    for (const [dir, stat] of this.#disturbed) this.#route.to.setTimes(dir, stat);
  }

  #implyDir(dir: LayerPath): void {
    const { to, ownership, shift = NO_SHIFT } = this.#route;
    if (to.stat(dir) !== undefined) return;
    this.#disturb(parentOf(dir));
    to.mkdir(dir, IMPLIED_MODE);
    const { uid, gid } = shiftOwner(shift, ROOT_OWNER);
    giveOwner(ownership, () => to.setOwner(dir, uid, gid));
    this.#implied.add(dir);
  }

  #disturb(dir: LayerPath): void {
    if (this.#disturbed.has(dir) || (this.#implied.has(dir) && this.#lower.visible(dir)?.type === "dir")) return;
    const stat = this.#route.to.stat(dir);
    if (stat !== undefined) this.#disturbed.set(dir, stat);
  }
}
