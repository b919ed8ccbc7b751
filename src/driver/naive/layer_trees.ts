// SPDX-License-Identifier: Apache-2.0
/**
 * The trees of a driver's layers, mounted for as long as somebody looks at them here. What was mounted before stays
 * mounted: the users of a mount are counted.
 *
 * @module
 */
import { hasCode, StrataError } from "../../core/errors.ts";
import { inodeKey } from "../../core/file_stat.ts";
import type { CacheId } from "../../core/ids.ts";
import { containerShift, IDENTITY, type IdMappings, isIdentity } from "../../core/id_map.ts";
import { MappedDir } from "../../changeset/mapped_dir.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import { ROOT } from "../../core/layer_path.ts";
import { hasErrno } from "../../host/errno.ts";
import { statPath } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerIdMapUpdater } from "../interfaces/layer_id_maps.ts";
import type { GetOptions, LayerTree, ProtoDriver } from "../interfaces/proto_driver.ts";
import { isMounted } from "../parts/checker.ts";
import { RefCounter } from "../parts/ref_counter.ts";

/** How often a tree is mounted again that others have unmounted before it could be opened. */
const TRIES_MAX = 10;

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
    for (let tries = 1;; tries++) {
      const { path, kind, release } = await this.#get(id, options);
      try {
        const root = RootedDir.open(path);
        if (kind === "directory" || isMountedRoot(root)) return new LayerView(root, { idMappings, release });
        root.close();
        if (tries === TRIES_MAX) throw unmounted(path);
      } catch (error) {
        await release();
        // A thread or process that looked at the layer, too, may have unmounted it before it was opened here.
        if (tries === TRIES_MAX || !hasErrno(error, "ENOENT", "ENOTCONN")) throw error;
        continue;
      }
      await release();
    }
  }

  async #get(id: CacheId, { access, mountLabel }: OpenTreeOptions): Promise<Held> {
    const options: GetOptions = {
      ...(access === "read-only" ? { access } : {}),
      ...(mountLabel === undefined ? {} : { mountLabel }),
    };
    const { path, kind } = this.#proto.treeOf(id, access);
    if (kind === "directory") {
      return { path: await this.#proto.get(id, options), kind, release: () => this.#proto.put(id) };
    }
    const get = async (): Promise<void> => void await this.#proto.get(id, options);
    await this.#mounts.get(path, { whenFirst: get });
    return { path, kind, release: () => this.#put(path, () => this.#proto.put(id)) };
  }

  /** Others may have unmounted it meanwhile; a handle of what was mounted still works. */
  async #put(path: string, whenLast: () => Promise<void>): Promise<void> {
    try {
      await this.#mounts.put(path, { whenLast });
    } catch (error) {
      if (!hasCode(error, "NOT_FOUND")) throw error;
    }
  }
}

/** Whether a handle leads to what is mounted at its path now, and not to the directory below. */
function isMountedRoot(root: RootedDir): boolean {
  const [own, there] = [root.stat(ROOT), statPath(root.path)];
  return own !== undefined && there !== undefined && inodeKey(own) === inodeKey(there) && isMounted(root.path);
}

function unmounted(path: string): StrataError<"IN_USE"> {
  return new StrataError("IN_USE", `Cannot look at "${path}": others unmount it again and again; wait for them`, {
    kind: "mount",
    name: path,
    usedBy: [],
  });
}

interface Held {
  readonly path: string;
  readonly kind: LayerTree["kind"];
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
