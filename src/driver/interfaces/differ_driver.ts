// SPDX-License-Identifier: Apache-2.0
/**
 * Layers whose files somebody else brings: a differ fills a staging directory, and the driver makes a layer's own files of
 * it without writing them again. containers/storage, drivers/driver.go, `DriverWithDiffer`.
 *
 * A driver knows no archives, so here the tree is believed: owners, modes and names are as the differ left them. The layer
 * store stages through this interface, but takes what was staged in as the archive that it claims to be (`store/differ/`).
 *
 * @module
 */
import type { IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import type { Ownership } from "../../changeset/change.ts";
import type { UnsaidByTree } from "../../changeset/settle_tree.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { ApplyOptions } from "./diff_driver.ts";

/** What a differ has to know of the driver. */
export interface TreeDifferOptions {
  /** Absolute path of a directory for the differ's own files; it goes with the staging directory. */
  readonly workDir: string;
  /** Whose the driver's files are. */
  readonly ownership: Ownership;
  /** Under which ids owners are kept on disk. Absent: under their own. */
  readonly idMappings?: IdMappings;
  /** The caller's. A differ stops when it fires, and fails. */
  readonly signal?: AbortSignal;
}

/** Fills a directory, and tells what it likes of it. */
export interface TreeDiffer<Output> {
  /**
   * Fills the directory; what it throws, staging throws.
   * @param target empty; valid until this settles
   */
  applyDiff(target: RootedDir, options: TreeDifferOptions): Promise<Output>;
}

/** Where a differ is to work. */
export interface StageOptions {
  /**
   * Absolute path of a directory that is not there yet, on the home's file system. It is the caller's, who removes it or has
   * {@link DifferDriver.cleanupStagingDirectory} do so.
   */
  readonly staging: string;
  /** Under which ids the layer is to be kept. Absent: as the driver's home. */
  readonly idMappings?: IdMappings;
  /** Handed to the differ. */
  readonly signal?: AbortSignal;
}

/** What a differ has filled; plain data. */
export interface StagedTree {
  /** Absolute path of the staging directory. */
  readonly staging: string;
  /** Absolute path of the differ's tree in it. */
  readonly dir: string;
  /** Under which ids the tree's owners are. Absent: under their own. */
  readonly idMappings?: IdMappings;
}

/** How a staged tree is applied, and what it cannot say itself. */
export interface ApplyStagedOptions extends ApplyOptions, UnsaidByTree {}

/** Makes layers of what differs have staged. `naive_differ.ts` makes it out of any driver that applies diffs. */
export interface DifferDriver {
  /**
   * Has a differ fill a new staging directory. What the differ throws, this throws, and nothing is left.
   * @throws {StrataError} `CONFLICT` when the staging directory is there, `NO_SPACE`, `ABORTED`
   */
  applyDiffWithDiffer<Output>(
    differ: TreeDiffer<Output>,
    options: StageOptions,
  ): Promise<{ readonly staged: StagedTree; readonly output: Output }>;
  /**
   * Applies a staged tree to a layer, as {@link DiffDriver.applyDiff} does a tar. Its files move: where layer and staging
   * directory are on one mount, no content is copied. The tree is used up; the staging directory stays the caller's.
   * @returns the bytes that it brought, as Docker counts them for this driver
   * @throws {StrataError} `NOT_FOUND` for the layer, or the tree; `INVALID_ARGUMENT` when the layer is kept under other ids;
   *   `IN_USE`, `ABORTED`
   */
  applyDiffFromStagingDirectory(
    id: CacheId,
    parent: CacheId | undefined,
    staged: StagedTree & ApplyStagedOptions,
  ): Promise<number>;
  /** Removes a staging directory with all that is in it, and what is mounted there. Absence is no error. */
  cleanupStagingDirectory(staging: string): Promise<void>;
  /**
   * The directory that holds a layer's own files, in the driver's form: with overlay2 what the layer changes, with vfs the
   * whole tree. What is written there is not noticed, and damages a layer that others lie on.
   * @throws {StrataError} `NOT_FOUND`; `NOT_SUPPORTED` when the driver has no such directory
   */
  differTarget(id: CacheId): string;
}
