// SPDX-License-Identifier: Apache-2.0
/**
 * Giving an unpacked layer its driver's form, on the layers below it.
 *
 * @module
 */
import type { DiffId } from "../../core/digest.ts";
import type { CacheId } from "../../core/ids.ts";
import type { Changeset } from "../../changeset/change.ts";
import type { Driver } from "../../driver/driver.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import type { LayerLocation, SealedLayer } from "../../driver/interfaces/layer_sealer.ts";
import { loadDriver } from "../../driver/registry.ts";
import { archiveDigest } from "../archive.ts";
import { LayerContents } from "../layer_contents.ts";
import { cannotSettle, type Settled, settleLayer } from "../settle_layer.ts";
import { StagedLayer } from "../staged_layer.ts";

/** A layer to be sealed. */
export interface SealLayerRequest {
  readonly driver: DriverSpec;
  /** The layer's own directory, as `unpack` left it. */
  readonly dir: string;
  readonly cacheId: CacheId;
  /** Another name that it may have until it is published. */
  readonly stagedAs?: CacheId;
  readonly diffId: DiffId;
  readonly changeset: Changeset;
  /** The stack below, top first. */
  readonly parents: readonly LayerLocation[];
  /** Layers that lie upon it already, since it is made again. */
  readonly children?: readonly CacheId[];
}

/**
 * Settles a layer on the stack below and seals it.
 * @throws {StrataError} `INVALID_ARCHIVE` when it does not fit, or could not be given back
 */
export async function seal(request: SealLayerRequest): Promise<SealedLayer> {
  const driver = await loadDriver(request.driver);
  const { changeset, paths } = await settleOn(driver, request);
  const { cacheId, stagedAs, parents, children = [] } = request;
  const staging = new StagedLayer(request.dir).dataDir;
  const names = { cacheId, ...(stagedAs === undefined ? {} : { stagedAs }) };
  const sealed = await driver.seal({ ...names, staging, changeset, parents, children });
  if (paths === "redirected") await proveExport(driver, request, sealed);
  return sealed;
}

async function settleOn(driver: Driver, request: SealLayerRequest): Promise<Settled> {
  const { dir, diffId, changeset, parents } = request;
  const { ownership } = driver.capabilities;
  const { idMappings } = driver.spec;
  await using below = parents.length === 0 ? undefined : await driver.view(parents);
  return await settleLayer({ staged: new StagedLayer(dir), diffId, changeset, ownership, idMappings, below });
}

/** Some names lead through the layers below: before such a layer is accepted, it is given back once (I6). */
async function proveExport(driver: Driver, request: SealLayerRequest, sealed: SealedLayer): Promise<void> {
  await using files = await driver.diffGetter([sealed, ...request.parents]);
  const actual = await archiveDigest(new StagedLayer(request.dir).tarSplitPath, new LayerContents(files));
  if (actual !== request.diffId) throw cannotSettle(request.diffId);
}
