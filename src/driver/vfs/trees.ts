// SPDX-License-Identifier: Apache-2.0
/**
 * Making the trees of vfs layers: each is a whole one, copied from the layer below.
 *
 * @module
 */
import { mergeChangeset } from "../../changeset/merge.ts";
import { copyTree } from "../../host/copy_tree.ts";
import { fromOsError } from "../../host/errno.ts";
import { removeTreeAt, renamePath } from "../../host/files.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerLocation, SealRequest } from "../interfaces/layer_sealer.ts";
import type { CreateOptions } from "../interfaces/proto_driver.ts";
import { makeDirectory } from "../parts/layer_directory.ts";
import { attempt } from "../parts/requests.ts";
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
    return attempt(`read layer ${cacheId}`, () => RootedDir.open(treeAt(dir)));
  }

  /** Makes a layer that is to be written to: a copy of the one below, or empty. Nothing is left of one that fails. */
  make(location: LayerLocation, below: LayerLocation | undefined, options: NewTree): void {
    const { cacheId, dir } = location;
    try {
      this.#home.prepare();
      makeDirectory(dir, LAYER_MODE);
      this.#home.quota.limit(dir, options.limits);
      this.#home.ids.note(location, this.#home.ids.forNew(options.idMappings, below));
      if (below === undefined) return this.#home.ids.giveToRoot(location);
      this.#copy(below, dir, options);
      this.#home.ids.adopt(location, this.#home.ids.mappingsOf(below));
      writeBaseline(this.#home.baselineOf(cacheId), below.cacheId);
    } catch (error) {
      this.#home.quota.free(dir);
      removeTreeAt(dir);
      this.#home.ids.forget(location);
      throw fromOsError(error, `create layer ${cacheId}`);
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
    mergeChangeset({ changeset, tree, into });
    return dir;
  }

  #copy(from: LayerLocation, dir: string, { onEntry = () => {} }: Pick<CreateOptions, "onEntry"> = {}): void {
    using source = this.open(from);
    using target = RootedDir.open(dir);
    // Owners that could not be set are not in the tree that is copied.
    const ownership = this.#home.ownership === "self" ? "self" : "archive";
    copyTree(source, target, { ownership, onEntry });
  }
}
