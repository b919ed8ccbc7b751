// SPDX-License-Identifier: Apache-2.0
/**
 * The further roots of a store, and all that lies in each, whether or not a record stands for it.
 *
 * @module
 */
import type { LayerListing } from "../../metadata/layerdb.ts";
import type { MountListing } from "../../metadata/mounts.ts";
import type { ReadOnlyRoot, RootKind } from "./read_only_root.ts";

/** A root whose layers are used where they are, and never changed. */
export interface FurtherRoot {
  /** Absolute, without symlinks. */
  readonly path: string;
  /** Whose layout it has. */
  readonly kind: RootKind;
  /** Name of the driver whose layers are meant, as that root's own tool calls it. */
  readonly driver: string;

  /**
   * All layers there, with and without a record, and what is damaged. One may also lie in the store itself, or in a root
   * before: that one is used.
   * @throws {StrataError} only when the layers cannot be listed at all
   */
  layers(): LayerListing;
  /**
   * All writable layers there, such as those of containers, and what is damaged.
   * @throws {StrataError} only when they cannot be listed at all
   */
  rwLayers(): MountListing;
}

/** What others may see of a root. */
export function furtherRoot({ path, kind, reading }: ReadOnlyRoot): FurtherRoot {
  return {
    path,
    kind,
    driver: reading.driver.spec.name,
    layers: () => reading.layerDb.list(),
    rwLayers: () => reading.mounts.list(),
  };
}
