// SPDX-License-Identifier: Apache-2.0
/**
 * Making the trees of vfs layers: each is a whole one, copied from the layer below.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { Ownership } from "../../changeset/change.ts";
import { mergeChangeset } from "../../changeset/merge.ts";
import { copyTree } from "../../host/copy_tree.ts";
import { fromOsError } from "../../host/errno.ts";
import { ensureDir, removeTreeAt, renamePath } from "../../host/files.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerLocation, SealRequest } from "../interfaces/layer_sealer.ts";
import type { CreateOptions } from "../interfaces/proto_driver.ts";
import { makeDirectory } from "../parts/layer_directory.ts";
import type { LayerIds } from "../parts/layer_ids.ts";
import type { LayerQuota } from "../parts/quota.ts";
import { attempt } from "../parts/requests.ts";
import { writeBaseline } from "./baseline.ts";
import { treeAt } from "./stand_ins.ts";

/** Of the home, and of the directories in it. */
export const HOME_MODE = 0o710;
const LAYER_MODE = 0o755;
/** Directories of notes about layers, which are named as the layers are. */
export const NOTES: readonly string[] = ["baselines", "id-maps"];

/** What a home has. */
export interface VfsHome {
  /** Absolute path. */
  readonly home: string;
  readonly ids: LayerIds;
  readonly quota: LayerQuota;
  readonly ownership: Ownership;
}

/** How a tree is made. */
export interface NewTree extends Pick<CreateOptions, "onEntry" | "idMappings"> {
  readonly limits: ProjectLimits;
}

/** Makes the trees of one home. */
export class VfsTrees {
  readonly #home: string;
  readonly #ids: LayerIds;
  readonly #quota: LayerQuota;
  readonly #ownership: Ownership;

  constructor({ home, ids, quota, ownership }: VfsHome) {
    this.#home = home;
    this.#ids = ids;
    this.#quota = quota;
    this.#ownership = ownership;
  }

  /** Makes the home's directories. Not when the home is opened: who only reads writes nothing. */
  prepare(): void {
    for (const name of ["dir", ...NOTES]) ensureDir(`${this.#home}/${name}`, HOME_MODE);
    this.#ids.admitAll(`${this.#home}/dir`);
  }

  /** Opens a layer's tree. */
  open({ cacheId, dir }: LayerLocation): RootedDir {
    return attempt(`read layer ${cacheId}`, () => RootedDir.open(treeAt(dir)));
  }

  /** Makes a layer that is to be written to: a copy of the one below, or empty. Nothing is left of one that fails. */
  make(location: LayerLocation, below: LayerLocation | undefined, options: NewTree): void {
    const { cacheId, dir } = location;
    try {
      this.prepare();
      makeDirectory(dir, LAYER_MODE);
      this.#quota.limit(dir, options.limits);
      this.#ids.note(location, this.#ids.forNew(options.idMappings, below));
      if (below === undefined) return this.#ids.giveToRoot(location);
      this.#copy(below, dir, options);
      this.#ids.adopt(location, this.#ids.mappingsOf(below));
      writeBaseline(this.baselineOf(cacheId), below.cacheId);
    } catch (error) {
      this.#quota.free(dir);
      removeTreeAt(dir);
      this.#ids.forget(location);
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

  /** Where it is noted of what a writable layer began as a copy. */
  baselineOf(id: CacheId): string {
    return `${this.#home}/baselines/${id}`;
  }

  #copy(from: LayerLocation, dir: string, { onEntry = () => {} }: Pick<CreateOptions, "onEntry"> = {}): void {
    using source = this.open(from);
    using target = RootedDir.open(dir);
    // Owners that could not be set are not in the tree that is copied.
    const ownership = this.#ownership === "self" ? "self" : "archive";
    copyTree(source, target, { ownership, onEntry });
  }
}
