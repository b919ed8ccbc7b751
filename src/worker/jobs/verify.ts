// SPDX-License-Identifier: Apache-2.0
/**
 * Hashing a layer's archive as it would be given back now.
 *
 * @module
 */
import type { Digest } from "../../core/digest.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { loadDriver } from "../../driver/registry.ts";
import type { AbortFlag } from "../abort_flag.ts";
import { archiveDigest } from "../archive.ts";
import type { Report } from "../job_map.ts";
import { LayerContents } from "../layer_contents.ts";
import { surveyContents } from "./check_contents.ts";

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
  if (files.findStray !== undefined) await surveyContents(request.tarSplitPath, files);
  return digest;
}
