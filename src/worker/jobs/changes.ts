// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer changes of another: as a list, or as a tar.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import type { CacheId } from "../../core/ids.ts";
import type { Change } from "../../changeset/change.ts";
import { diffSizeOf } from "../../changeset/diff_size.ts";
import { DropReport } from "../../changeset/drop_report.ts";
import { packChanges } from "../../changeset/pack.ts";
import { type Driver, stackOf } from "../../driver/driver.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import { loadDriver } from "../../driver/registry.ts";
import type { AbortFlag } from "../abort_flag.ts";
import { ChunkSender } from "../chunk_channel.ts";
import type { Report } from "../job_map.ts";
import { publicForm } from "../wire_error.ts";
import type { PackReport } from "./pack_directory.ts";

/** Two layers to be compared. */
export interface ChangesRequest {
  readonly driver: DriverSpec;
  readonly id: CacheId;
  /** What it is compared with; absent: an empty tree. */
  readonly from: CacheId | undefined;
}

/** A comparison to be packed. */
export interface PackRequest extends ChangesRequest {
  /** Takes the tar's bytes. */
  readonly output: MessagePort;
}

/** The paths that differ, sorted bytewise. */
export async function changes(request: ChangesRequest): Promise<Change[]> {
  return await (await loadDriver(request.driver)).changes(request.id, request.from);
}

/**
 * Bytes of the added and changed files, hard links once: what Docker's naive driver calls the size of a diff.
 * @throws {StrataError} `ABORTED`
 */
export async function diffSize(request: ChangesRequest, _report: Report, abort: AbortFlag): Promise<number> {
  const driver = await loadDriver(request.driver);
  await using now = await driver.view(stackOf(driver, request.id));
  const changes = await driver.changes(request.id, request.from);
  return diffSizeOf({ changes, now, onEntry: () => abort.check() });
}

/** Packs the paths that differ as a layer's tar. A failure ends the port with the error, and is thrown. */
export async function pack(request: PackRequest): Promise<PackReport> {
  const output = new ChunkSender(request.output);
  try {
    const { listed, count } = await packInto(await loadDriver(request.driver), request, output);
    output.end();
    return { skipped: listed, skippedCount: count };
  } catch (error) {
    output.fail(publicForm(error, "pack the layer"));
    throw error;
  }
}

/** Gives what the tar does not hold. */
async function packInto(driver: Driver, request: PackRequest, output: ChunkSender): Promise<DropReport> {
  const skipped = new DropReport();
  await using now = await driver.view(stackOf(driver, request.id));
  const changed = await driver.changes(request.id, request.from);
  for (const chunk of packChanges({ changes: changed, now, onSkip: (item) => skipped.add(item) })) {
    await output.send(chunk);
  }
  return skipped;
}
