// SPDX-License-Identifier: Apache-2.0
/**
 * What gc and fsck ask of a driver.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { LayerLocation } from "./layer_sealer.ts";
import type { Awaitable } from "./proto_driver.ts";

/** Something in a driver's home that belongs to no layer: what crashes leave. */
export interface Debris {
  /** Absolute path. */
  readonly path: string;
  /** What it is, for people. */
  readonly what: string;
  /** When it was last changed. Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Whether a running process may be using it for a moment: then only its age tells. */
  readonly use: "none" | "momentary";
  /** The layer that it was to become a part of: as long as somebody makes that, it is not to be removed. */
  readonly cacheId?: CacheId;
}

/** Something about a layer's directory that is not as it must be. */
export interface LayerFault {
  /** The file at fault. */
  readonly path: string;
  /** Continues "the file …". */
  readonly problem: string;
  /** Whether {@link LayerUpkeep.mend} can put it right; what is lost, only registering the layer again can. */
  readonly mending: "possible" | "impossible";
}

/** Tells what a home holds, and puts it in order. */
export interface LayerUpkeep {
  /** Directories that a layer's own files refer to, as far as they can be told even when it is damaged. */
  needsOf(id: CacheId): readonly CacheId[];
  /** Where trees that show this layer's own directory are mounted, for reading or below a writable layer. */
  mountsOver(id: CacheId): readonly string[];
  /** What is in the home and no layer's. */
  debris(): readonly Debris[];
  /** Removes what {@link LayerUpkeep.debris} found. Absence is no error. */
  removeDebris(debris: Debris): Promise<void>;
  /**
   * Looks whether a layer's directory is whole, without reading its files.
   * @param parents the stack that lies below by the records, top first
   */
  check(id: CacheId, parents: readonly LayerLocation[]): readonly LayerFault[];
  /** Puts right what {@link LayerUpkeep.check} found to be mendable. Of a stack, the lowest layer comes first. */
  mend(id: CacheId, parents: readonly LayerLocation[]): Awaitable<void>;
}
