// SPDX-License-Identifier: Apache-2.0
/**
 * Layers whose own files lie outside of the driver's home, in another store that is only read: stand-ins. Such a store
 * may be a mount without the right to write, or be shared by many machines.
 *
 * A stand-in is read, mounted and built upon like any other layer. It never changes, and nothing of this package writes
 * where its files are: no file, no attribute, no lock. When it is removed, what it stood for stays.
 *
 * @module
 */
import type { IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import type { Awaitable } from "./proto_driver.ts";

/**
 * What sets a tree of overlay2 apart from what the kernel writes: a mount program wrote it, so that its marks can be
 * others; attributes tell owner, mode and type of every object.
 */
export type OutsideTrait = "program" | "override";

/** A layer's tree in another store. */
export interface OutsideTree {
  /**
   * Absolute path of the directory with the layer's own files, in the driver's dialect: for overlay2 a layer's `diff`,
   * for vfs a whole tree.
   */
  readonly dir: string;
  /** Under which ids it is kept there. Absent: under its archive's. */
  readonly idMappings?: IdMappings;
  /** In which form it is kept. Absent: in the kernel's. */
  readonly form?: readonly OutsideTrait[];
}

/** Makes stand-ins, and tells what layers stand for. */
export interface OutsideLayers {
  /**
   * Makes a layer whose own files are those outside. It appears in one step, and is read-only from then on. It is durable
   * once the home's file system was synced and `syncHome` has returned.
   * @throws {StrataError} `CONFLICT` when the id is taken, `NOT_FOUND` for the parent, `INVALID_ARGUMENT` for a path that is
   *   relative, no directory's, or one of the home's own, `MAX_DEPTH` when the stack is too high
   */
  createStandIn(id: CacheId, parent: CacheId | undefined, outside: OutsideTree): Awaitable<void>;
  /** The directory outside that a layer stands for; `undefined` for a layer with files of its own, and for none. */
  standInOf(id: CacheId): string | undefined;
  /**
   * A layer of this home as other homes of the same driver can use it. For a stand-in, what it stands for itself.
   * @throws {StrataError} `NOT_FOUND`
   */
  asOutside(id: CacheId): OutsideTree;
}
