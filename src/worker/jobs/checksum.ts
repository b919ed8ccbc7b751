// SPDX-License-Identifier: Apache-2.0
/**
 * The identity of a layer that exists only as a tree of the driver: the archive that it packs to, as a digest and a
 * tar-split. moby, layer/migration.go, `checksumForGraphIDNoTarsplit`.
 *
 * @module
 */
import { type DiffId, DigestWriter, parseDiffId } from "../../core/digest.ts";
import { packChanges } from "../../changeset/pack.ts";
import { gzipMember } from "../../compression/gzip.ts";
import { stackOf } from "../../driver/driver.ts";
import { loadDriver } from "../../driver/registry.ts";
import { openForWrite } from "../../host/files.ts";
import type { TarHandler } from "../../tar/entry.ts";
import { TarReader } from "../../tar/reader.ts";
import { SplitWriter } from "../../tarsplit/file.ts";
import { Splitter } from "../../tarsplit/split.ts";
import type { AbortFlag } from "../abort_flag.ts";
import type { Report } from "../job_map.ts";
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
  using file = openForWrite(request.tarSplitPath);
  const writer = new SplitWriter({ compress: gzipMember, sink: (bytes) => file.write(bytes) });
  let sizeBytes = 0;
  const splitter: TarHandler = new Splitter((record) => {
    if (record.type === "file") sizeBytes += record.size;
    writer.write(record);
  });
  const reader = new TarReader(splitter);
  const digest = new DigestWriter();
  const changes = await driver.changes(request.id, request.from);
  for (const chunk of packChanges({ changes, now })) {
    abort.check();
    digest.update(chunk);
    reader.push(chunk);
  }
  reader.end();
  writer.end();
  file.sync();
  return { diffId: parseDiffId(digest.finish()), sizeBytes };
}
