// SPDX-License-Identifier: Apache-2.0
/**
 * The identity of a layer that exists only as a tree of the driver: the archive that it packs to, as a digest and a
 * tar-split. moby, layer/migration.go, `checksumForGraphIDNoTarsplit`.
 *
 * @module
 */
import type { DiffId } from "../../core/digest.ts";
import { packChanges } from "../../changeset/pack.ts";
import { stackOf } from "../../driver/driver.ts";
import { loadDriver } from "../../driver/registry.ts";
import type { AbortFlag } from "../abort_flag.ts";
import type { Report } from "../job_map.ts";
import { SplitRecorder } from "../split_recorder.ts";
import type { ChangesRequest } from "./changes.ts";

/** A layer whose archive is to be described. */
export interface ChecksumRequest extends ChangesRequest {
  /** The tar-split file to be made; nothing has that name yet. */
  readonly tarSplitPath: string;
}

/** What the archive would be. */
export interface LayerChecksum {
  /** Digest of the archive. */
  readonly diffId: DiffId;
  /** Bytes of all files in the archive. */
  readonly sizeBytes: number;
}

/**
 * Packs a layer, and keeps the digest and the tar-split of that.
 * @throws {StrataError} as packing does; `ABORTED`
 */
export async function checksum(
  request: ChecksumRequest,
  _report: Report,
  abort: AbortFlag,
): Promise<LayerChecksum> {
  const driver = await loadDriver(request.driver);
  await using now = await driver.view(stackOf(driver, request.id));
  using archive = new SplitRecorder(request.tarSplitPath);
  const changes = await driver.changes(request.id, request.from);
  for (const chunk of packChanges({ changes, now })) {
    abort.check();
    archive.push(chunk);
  }
  return archive.end();
}
