// SPDX-License-Identifier: Apache-2.0
/**
 * The driver's home once more, its owners mapped: layers that are kept under their archives' ids become the lowers of a
 * mount for a container with ids of its own, and nothing is copied or changed.
 *
 * Overlayfs takes a copy of each lower's mount when it is mounted itself, so the mapped home is there for that moment
 * only. One mapping serves all lowers, since all lie in the home. The upper directory cannot be mapped along: the kernel
 * creates the work directory as the one who mounts, who has no id in the map. overlayfs.rst, "Permission model".
 *
 * @module
 */
import { randomId } from "../../../core/ids.ts";
import type { IdMappings } from "../../../core/id_map.ts";
import { fromOsError } from "../../../host/errno.ts";
import { ensureDir } from "../../../host/files.ts";
import { mountIdMapped, openUserNamespace } from "../../../host/namespaces/idmapped_mount.ts";
import { removeMountPoint } from "../../parts/layer_directory.ts";
import { unmount } from "../../parts/mounting.ts";

/** Begins the names of the places where homes are mounted mapped, in the home. */
export const MAPPED_PREFIX = ".overlay-mapped-";

const MODE = 0o700;

/** A mapped home. Dispose of it when the overlay is mounted. */
export class MappedHome implements AsyncDisposable {
  /** Where it is mounted, relative to the home. */
  readonly name: string;
  readonly #path: string;

  private constructor(home: string, name: string) {
    this.name = name;
    this.#path = `${home}/${name}`;
  }

  /**
   * Mounts a home mapped, for reading.
   * @throws {StrataError} `NOT_SUPPORTED` or `IO` where the kernel or the file system cannot; nothing is left then
   */
  static async open(home: string, mappings: IdMappings): Promise<MappedHome> {
    const mapped = new MappedHome(home, `${MAPPED_PREFIX}${randomId()}`);
    using namespace = await openUserNamespace(mappings);
    ensureDir(mapped.#path, MODE);
    try {
      mountIdMapped({ source: home, target: mapped.#path, namespace, access: "read-only" });
      return mapped;
    } catch (error) {
      removeMountPoint(mapped.#path);
      throw fromOsError(error, `map the owners of "${home}"`);
    }
  }

  /** Unmounts it. Overlays made of it stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await unmount(this.#path);
    removeMountPoint(this.#path);
  }
}
