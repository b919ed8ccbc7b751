// SPDX-License-Identifier: Apache-2.0
/**
 * Hashing a layer's archive as it would be given back now.
 *
 * @module
 */
import { display } from "../../core/bytes.ts";
import type { Digest } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import type { DiffGetter } from "../../driver/interfaces/diff_driver.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { loadDriver } from "../../driver/registry.ts";
import type { AbortFlag } from "../abort_flag.ts";
import { archiveDigest } from "../archive.ts";
import type { Report } from "../job_map.ts";
import { LayerContents } from "../layer_contents.ts";
import { tarSplitBatches } from "../tar_split_file.ts";

/** A layer to be verified. */
export interface VerifyRequest {
  readonly driver: DriverSpec;
  readonly tarSplitPath: string;
  /** The layer and all below it, top first. */
  readonly stack: readonly [LayerLocation, ...LayerLocation[]];
}

/**
 * Digest of the rebuilt archive.
 * @throws {StrataError} `CORRUPT` naming the file that differs, or one that the archive has not; `ABORTED`
 */
export async function verify(request: VerifyRequest, _report: Report, abort: AbortFlag): Promise<Digest> {
  const driver = await loadDriver(request.driver);
  await using files = await driver.diffGetter(request.stack);
  const digest = await archiveDigest(request.tarSplitPath, new LayerContents(files), abort);
  await refuseStray(request.tarSplitPath, files);
  return digest;
}

/** The archive does not tell of files that somebody else put into the layer's tree. */
async function refuseStray(tarSplitPath: string, files: DiffGetter): Promise<void> {
  if (files.findStray === undefined) return;
  const members = new Set<LayerPath>();
  for await (const batch of tarSplitBatches(tarSplitPath)) {
    for (const record of batch) if (record.type === "file") members.add(parseLayerPath(record.name));
  }
  const stray = files.findStray(members);
  if (stray === undefined) return;
  const path = display(stray);
  throw new StrataError("CORRUPT", `its tree has "${path}", and its archive has not: another diff was applied to it`, {
    path,
  });
}
