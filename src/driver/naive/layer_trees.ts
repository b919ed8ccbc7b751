// SPDX-License-Identifier: Apache-2.0
/**
 * The trees of a driver's layers, mounted for as long as somebody looks at them here. What was mounted before stays
 * mounted: the users of a mount are counted.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { containerShift, IDENTITY, type IdMappings, isIdentity } from "../../core/id_map.ts";
import { MappedDir } from "../../changeset/mapped_dir.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerIdMapUpdater } from "../interfaces/layer_id_maps.ts";
import type { GetOptions, ProtoDriver } from "../interfaces/proto_driver.ts";
import { RefCounter } from "../parts/ref_counter.ts";

/** How a tree is opened. */
export interface OpenTreeOptions {
  /** Read-only trees may still be writable where the driver cannot enforce it. */
  readonly access: "writable" | "read-only";
  /** SELinux label of the mount. */
  readonly mountLabel?: string | undefined;
}

/** What trees are opened by. */
export type MountingDriver =
  & Pick<ProtoDriver, "get" | "put" | "treeOf" | "spec">
  & Partial<Pick<LayerIdMapUpdater, "idMappingsOf">>;

/** Opens the trees of one driver's layers. */
export class LayerTrees {
  readonly #proto: MountingDriver;
  readonly #mounts = new RefCounter();

  constructor(proto: MountingDriver) {
    this.#proto = proto;
  }

  /**
   * A layer's tree; mounted until it is disposed of, where that takes a mount.
   * @throws {StrataError} `NOT_FOUND`
   */
  async open(id: CacheId, options: OpenTreeOptions): Promise<LayerView> {
    const idMappings = await this.#proto.idMappingsOf?.(id) ?? this.#proto.spec.idMappings ?? IDENTITY;
    const { path, release } = await this.#get(id, options);
    try {
      return new LayerView(RootedDir.open(path), { idMappings, release });
    } catch (error) {
      await release();
      throw error;
    }
  }

  async #get(id: CacheId, { access, mountLabel }: OpenTreeOptions): Promise<Held> {
    const options: GetOptions = {
      ...(access === "read-only" ? { access } : {}),
      ...(mountLabel === undefined ? {} : { mountLabel }),
    };
    const { path, kind } = this.#proto.treeOf(id, access);
    if (kind === "directory") return { path: await this.#proto.get(id, options), release: () => this.#proto.put(id) };
    const get = async (): Promise<void> => void await this.#proto.get(id, options);
    await this.#mounts.get(path, { whenFirst: get });
    const put = (): Promise<void> => this.#proto.put(id);
    return {
      path,
      // Who used it before may have unmounted it meanwhile; the handle still works.
      release: async () => void (this.#mounts.count(path) > 0 && await this.#mounts.put(path, { whenLast: put })),
    };
  }
}

interface Held {
  readonly path: string;
  readonly release: () => Promise<void>;
}

/** How a layer's tree is viewed. */
export interface LayerViewOptions {
  /** Under which ids it is kept; the view shows those of the archives. */
  readonly idMappings: IdMappings;
  /** Called once the view is closed. */
  readonly release: () => Promise<void>;
}

/** A layer's tree. Dispose of it with `await using`. */
export class LayerView extends PlainView implements AsyncDisposable {
  /** For writing, under the ids on disk. It goes with the view. */
  readonly root: RootedDir;
  /** Those ids. */
  readonly idMappings: IdMappings;
  readonly #release: () => Promise<void>;

  /** Takes over the handle. */
  constructor(root: RootedDir, { idMappings, release }: LayerViewOptions) {
    super(isIdentity(idMappings) ? root : new MappedDir(root, { shift: containerShift(idMappings) }));
    this.root = root;
    this.idMappings = idMappings;
    this.#release = release;
  }

  /** Gives the handle and the mount back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await this.#release();
  }
}
