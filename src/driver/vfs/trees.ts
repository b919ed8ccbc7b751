// SPDX-License-Identifier: Apache-2.0
/**
 * Making the trees of vfs layers: each is a whole one, copied from the layer below.
 *
 * @module
 */
import { mergeChangeset } from "../../changeset/merge.ts";
import { chownTreeByMaps } from "../../changeset/chown_tree.ts";
import { sameIdMappings } from "../../core/id_map.ts";
import { copyTree } from "../../host/copy_tree.ts";
import { fromOsError } from "../../host/errno.ts";
import { removeTreeAt, renamePath } from "../../host/files.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerLocation, SealRequest } from "../interfaces/layer_sealer.ts";
import type { CreateOptions } from "../interfaces/proto_driver.ts";
import { makeDirectory } from "../parts/layer_directory.ts";
import { attempt, requireAbsent } from "../parts/requests.ts";
import { unfinishedAt } from "../parts/unfinished.ts";
import { writeBaseline } from "./baseline.ts";
import type { VfsHome } from "./home.ts";
import { treeAt } from "./stand_ins.ts";

const LAYER_MODE = 0o755;

/** How a tree is made. */
export interface NewTree extends Pick<CreateOptions, "onEntry" | "idMappings"> {
  readonly limits: ProjectLimits;
}

/** Makes the trees of one home. */
export class VfsTrees {
  readonly #home: VfsHome;

  constructor(home: VfsHome) {
    this.#home = home;
  }

  /** Opens a layer's tree. */
  open({ cacheId, dir }: LayerLocation): RootedDir {
    return attempt(`read layer ${cacheId}`, () => RootedDir.open(treeAt(dir), { within: this.#home.within }));
  }

  /** Makes a layer that is to be written to: a copy of the one below, or empty. Nothing is left of one that fails. */
  make(location: LayerLocation, below: LayerLocation | undefined, options: NewTree): void {
    const { quota, ids } = this.#home;
    const made = unfinishedAt(location);
    requireAbsent(made);
    try {
      this.#home.prepare();
      makeDirectory(made.dir, LAYER_MODE);
      quota.limit(made.dir, options.limits);
      ids.note(made, ids.forNew(options.idMappings, below));
      this.#fill(made, below, options);
      quota.rename(made.dir, location.dir);
    } catch (error) {
      quota.free(made.dir);
      removeTreeAt(made.dir);
      ids.forget(made);
      throw fromOsError(error, `create layer ${location.cacheId}`);
    }
  }

  /** Turns the bare tree into a whole one; returns where it is. */
  seal({ staging, changeset, parents }: SealRequest): string {
    const dir = `${staging}/layer`;
    const bare = `${staging}/tree`;
    const [parent] = parents;
    if (parent === undefined) {
      renamePath(bare, dir, { replace: "never" });
      return dir;
    }
    makeDirectory(dir, LAYER_MODE);
    this.#copy(parent, dir);
    using tree = RootedDir.open(bare);
    using into = RootedDir.open(dir);
    this.#giveToUsual(into, parent);
    mergeChangeset({ changeset, tree, into });
    return dir;
  }

  /** A parent of another store may be kept under other ids than sealed layers are. */
  #giveToUsual(tree: RootedDir, parent: LayerLocation): void {
    const { ids } = this.#home;
    const [from, to] = [ids.mappingsOf(parent), ids.usual.mappings];
    if (!sameIdMappings(from, to)) chownTreeByMaps(tree, { from, to });
  }

  #fill(made: LayerLocation, below: LayerLocation | undefined, options: NewTree): void {
    const { ids } = this.#home;
    if (below === undefined) return ids.giveToRoot(made);
    this.#copy(below, made.dir, options);
    ids.adopt(made, ids.mappingsOf(below));
    writeBaseline(this.#home.baselineOf(made.cacheId), below.cacheId);
  }

  #copy(from: LayerLocation, dir: string, { onEntry = () => {} }: Pick<CreateOptions, "onEntry"> = {}): void {
    using source = this.open(from);
    using target = RootedDir.open(dir);
    // Owners that could not be set are not in the tree that is copied.
    const ownership = this.#home.ownership === "self" ? "self" : "archive";
    copyTree(source, target, { ownership, onEntry });
  }
}
