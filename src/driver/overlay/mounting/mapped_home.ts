// SPDX-License-Identifier: Apache-2.0
/**
 * The driver's home once more, its owners mapped: layers that are kept under their archives' ids become the lowers of a
 * mount for a container with ids of its own, and nothing is copied or changed.
 *
 * Overlayfs takes a copy of each lower's mount when it is mounted itself, so the mapped home is there for that moment
 * only. One mapping serves all lowers that lie in the home. The upper directory cannot be mapped along: the kernel
 * creates the work directory as the one who mounts, who has no id in the map. overlayfs.rst, "Permission model".
 * What layers of the home stand for in other stores is mounted mapped beside it.
 *
 * @module
 */
import { randomId } from "../../../core/ids.ts";
import type { IdMappings } from "../../../core/id_map.ts";
import { fromOsError } from "../../../host/errno.ts";
import { ensureDir } from "../../../host/files.ts";
import { mountIdMapped, openUserNamespace, type UserNamespace } from "../../../host/namespaces/idmapped_mount.ts";
import { removeMountPoint } from "../../parts/layer_directory.ts";
import { unmount } from "../../parts/mounting.ts";

/** Begins the names of the places where homes are mounted mapped, in the home. */
export const MAPPED_PREFIX = ".overlay-mapped-";

const MODE = 0o700;

/** What is mounted mapped. */
export interface MappedHomeOptions {
  readonly mappings: IdMappings;
  /** Directories of other stores that layers of the home stand for: mounting the home does not reach them. */
  readonly outside: readonly string[];
}

/** A mapped home. Dispose of it when the overlay is mounted. */
export class MappedHome implements AsyncDisposable {
  readonly #home: string;
  /** Where what is mounted, relative to the home. */
  readonly #names = new Map<string, string>();

  private constructor(home: string) {
    this.#home = home;
  }

  /**
   * Mounts a home mapped, for reading, and the directories outside as well.
   * @throws {StrataError} `NOT_SUPPORTED` or `IO` where the kernel or a file system cannot; nothing is left then
   */
  static async open(home: string, { mappings, outside }: MappedHomeOptions): Promise<MappedHome> {
    const mapped = new MappedHome(home);
    using namespace = await openUserNamespace(mappings);
    for (const source of new Set([home, ...outside])) {
      try {
        mapped.#mount(source, namespace);
      } catch (error) {
        await mapped[Symbol.asyncDispose]();
        throw fromOsError(error, `map the owners of "${source}"`);
      }
    }
    return mapped;
  }

  /** The mapped form of a path that is relative to the home, or of what it stands for outside. */
  pathOf(path: string, outside: string | undefined): string {
    const name = this.#names.get(outside ?? this.#home)!;
    return outside === undefined ? `${name}/${path}` : name;
  }

  /** Unmounts it. Overlays made of it stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#names.values()) {
      const place = `${this.#home}/${name}`;
      await unmount(place);
      removeMountPoint(place);
    }
  }

  #mount(source: string, namespace: UserNamespace): void {
    const name = `${MAPPED_PREFIX}${randomId()}`;
    const target = `${this.#home}/${name}`;
    ensureDir(target, MODE);
    this.#names.set(source, name);
    mountIdMapped({ source, target, namespace, access: "read-only" });
  }
}
