// SPDX-License-Identifier: Apache-2.0
/**
 * How layers come into a driver's home, and how they are read there without a mount: what the layer store needs beside
 * the graph driver's own methods.
 *
 * Layers are unpacked by themselves, several at once, beside the home. Sealing gives one the driver's form, on the layers
 * below; publishing moves it into the home in one step (I3). Sealing runs in a worker thread.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { Changeset } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { Awaitable } from "./proto_driver.ts";

/** A layer's directory, in the driver's home or still staged. */
export interface LayerLocation {
  /** Its name inside the driver. */
  readonly cacheId: CacheId;
  /** Absolute path. */
  readonly dir: string;
  /**
   * The name under which the home has it already, for drivers that make layers in their homes only. Until it is published
   * it is garbage there (I1).
   */
  readonly stagedAs?: CacheId;
}

/** A layer unpacked by itself, to be given the driver's form. */
export interface SealRequest {
  /** Holds the bare tree as `tree/`; receives the layer's directory as `layer/`. One file system with the home. */
  readonly staging: string;
  /** The layer's name inside the driver. */
  readonly cacheId: CacheId;
  /**
   * The name to give it until it is published, if the home has it before, and cannot have it under its own. Nobody else uses
   * it, or removes what has it. Absent: the driver's choice.
   */
  readonly stagedAs?: CacheId;
  /** What the tree does not say, settled on the parents. */
  readonly changeset: Changeset;
  /** The stack below, top first; empty for a base layer. */
  readonly parents: readonly LayerLocation[];
  /** Layers that lie directly upon this one already, since it is made again: they must find it as they know it. */
  readonly children?: readonly CacheId[];
}

/** A layer in the driver's form, not yet published. Plain data. */
export interface SealedLayer extends LayerLocation {
  /** Bytes that Docker's driver would state for the layer. */
  readonly sizeBytes: number;
}

/** Takes layers into the home. */
export interface LayerSealer {
  /** Where a layer's directory is, whether or not it exists. */
  locate(id: CacheId): LayerLocation;
  /** The stack below a layer, top first, as the driver's own files tell it; for drivers without such files, none. */
  parentsOf(id: CacheId): readonly LayerLocation[];

  /**
   * Gives an unpacked layer the driver's form, where it was unpacked.
   * @throws {StrataError} `INVALID_ARCHIVE` when the layer does not fit the layers below
   */
  seal(request: SealRequest): Awaitable<SealedLayer>;
  /**
   * Puts a sealed layer on another stack of the same content: another process has published the parents meanwhile. Only
   * before {@link LayerSealer.publish}.
   */
  rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): Awaitable<void>;
  /**
   * Moves a sealed layer into the home. It is durable once the layer's own file system was synced and
   * {@link LayerSealer.syncHome} has returned. Data without a record is garbage (I1).
   * @throws {StrataError} `CONFLICT` when the home has a layer of this id
   */
  publish(sealed: SealedLayer): Awaitable<void>;
  /**
   * As {@link LayerSealer.publish}, in the place of a layer of the same id and content, which is damaged or gone. What was
   * there comes to lie where the sealed layer was; there is no moment without a layer. Layers above stay valid.
   */
  replace(sealed: SealedLayer): Awaitable<void>;
  /** Makes durable which layers the home has; once for all layers that were published. */
  syncHome(): void;

  /**
   * The merged tree of a stack (top first), without a mount where the driver can. Dispose of it with `await using`: where
   * there is a mount behind it, that goes with it.
   */
  view(stack: readonly LayerLocation[]): Awaitable<TreeView>;
}
