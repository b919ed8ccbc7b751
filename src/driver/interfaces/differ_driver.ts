// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are put together from pieces, such as the chunks of a partial pull: a differ fills a staging directory of the
 * driver's, and the driver makes it a layer by a rename.
 *
 * The interfaces are those of containers/storage, drivers/driver.go, `DriverWithDiffer` and `Differ`.
 *
 * @module
 */
import type { DiffId, Digest } from "../../core/digest.ts";
import type { CacheId } from "../../core/ids.ts";
import type { Ownership } from "../../changeset/change.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";

/** What a differ is to make. */
export interface DifferOptions {
  /** `tree`: a layer's own files under their names. `flat`: contents by their digests, for drivers that mount an index. */
  readonly format: "tree" | "flat";
  /** Whether the kernel is to check contents when they are read. fs-verity, kernel Documentation/filesystems/fsverity.rst. */
  readonly verity: "off" | "if available" | "required";
  /** Whose the files are. */
  readonly ownership: Ownership;
  /** Aborting leaves what was made until then to {@link DifferDriver.cleanupStagingDirectory}. */
  readonly signal?: AbortSignal;
}

/** What a differ has made. */
export interface DifferOutput {
  /** Digest of the layer's uncompressed tar, where the differ has seen or been told it. */
  readonly diffId?: DiffId;
  /** Digest of the blob as distributed. */
  readonly blobDigest?: Digest;
  /** Digest of the table of contents by which the pieces were chosen. */
  readonly tocDigest?: Digest;
  /** Bytes of the layer's files. */
  readonly sizeBytes: number;
  /** From which the layer's tar can be rebuilt; absent: it cannot. Uncompressed records. */
  readonly tarSplit?: ReadableStream<Uint8Array>;
  /** Further data to be kept with the layer, by name. */
  readonly bigData: ReadonlyMap<string, Uint8Array>;
}

/** Puts a layer together. */
export interface Differ extends AsyncDisposable {
  /** Fills an empty directory. */
  applyDiff(target: RootedDir, options: DifferOptions): Promise<DifferOutput>;
}

/** A differ's output, where the driver has staged it. */
export interface StagedDiff extends DifferOutput {
  /** Absolute path of the staging directory. */
  readonly dir: string;
}

/** A driver that makes layers of what differs put together. */
export interface DifferDriver {
  /** Has a differ fill a new staging directory. No lock is needed. */
  applyDiffWithDiffer(differ: Differ, options: DifferOptions): Promise<StagedDiff>;
  /**
   * Makes what was staged the layer's own files, in one step.
   * @throws {StrataError} `NOT_FOUND` for the layer
   */
  applyDiffFromStagingDirectory(id: CacheId, staged: StagedDiff): Promise<void>;
  /** Removes a staging directory. Absence is no error. */
  cleanupStagingDirectory(dir: string): Promise<void>;
  /** The directory of a layer's own files. */
  differTarget(id: CacheId): string;
}
