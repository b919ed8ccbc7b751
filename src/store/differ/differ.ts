// SPDX-License-Identifier: Apache-2.0
/**
 * Differs: callers that put a layer's contents into a staging directory themselves, such as the chunks of a partial pull.
 * containers/storage, drivers/driver.go, `Differ`.
 *
 * A differ brings contents, and a tar-split that tells of which archive they are the contents. Names, owners, modes and
 * whiteouts are in that archive, and the store sets them; the differ's own files only have to have the right contents
 * under the archive's names.
 *
 * @module
 */
import type { ByteString } from "../../core/bytes.ts";
import type { DiffId, Digest } from "../../core/digest.ts";
import type { Limits } from "../../core/limits.ts";
import type { TreeDifferOptions } from "../../driver/interfaces/differ_driver.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import type { CompressionName } from "../../metadata/blob_info.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { ReusableLayer } from "../../worker/differ/reusable_files.ts";
import type { WorkerPool } from "../../worker/pool.ts";
import type { ContentCounts } from "../../worker/jobs/take_directory.ts";

export type { ReusableLayer } from "../../worker/differ/reusable_files.ts";
export type { ContentCounts } from "../../worker/jobs/take_directory.ts";

/** What a differ works with. Whose the files are matters to one without a tar-split, whose tree is packed. */
export interface DifferOptions extends TreeDifferOptions {
  /** What a layer may ask for here. */
  readonly limits: Limits;
  /** The store's driver, which opens the layers' files. */
  readonly driver: DriverSpec;
  /** The layers that the store has now. Their files may be read and shared, and never changed; they may be deleted meanwhile. */
  layers(): readonly ReusableLayer[];
  /**
   * The store's threads, for the differs of this package.
   * @ignore
   */
  readonly pool?: WorkerPool;
}

/** What a differ knows of the layer that it has made. Nothing of it is believed before it is registered. */
export interface DifferOutput {
  /** Digest of the layer's uncompressed tar, where the differ has seen or been told it: registering compares it. */
  readonly diffId?: DiffId;
  /** Digest of the blob as distributed. */
  readonly blobDigest?: Digest;
  /** Bytes of that blob. */
  readonly blobBytes?: number;
  /** How it is compressed. */
  readonly compression?: CompressionName;
  /** Digest of the table of contents by which the pieces were chosen. */
  readonly tocDigest?: Digest;
  /** Bytes of the layer's files. */
  readonly sizeBytes?: number;
  /**
   * From which the layer's tar can be rebuilt: records in JSON, gzipped or not. It is read to its end. Absent: the staged tree
   * is packed, and the layer gets the DiffID of that.
   */
  readonly tarSplit?: ReadableStream<Uint8Array>;
  /** Paths that the layers below lose, relative to the root. Only without a tar-split, which tells them itself. */
  readonly whiteouts?: readonly ByteString[];
  /** A note of the differ's, to be kept with a record of the layer. */
  readonly metadata?: string;
  /** Further data to be kept with a record of the layer, by name. */
  readonly bigData?: ReadonlyMap<string, Uint8Array>;
  /** Where the contents came from, where the differ counts that. */
  readonly contents?: ContentCounts;
}

/** Puts a layer together. It stays its maker's, who closes what it has open. */
export interface Differ {
  /**
   * Fills an empty directory. While it runs nothing of the store is locked; what it throws, staging throws.
   * @param target where the contents go; valid until this settles
   */
  applyDiff(target: RootedDir, options: DifferOptions): Promise<DifferOutput>;
}
