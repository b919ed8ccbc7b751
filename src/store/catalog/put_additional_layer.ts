// SPDX-License-Identifier: Apache-2.0
/**
 * A record of a layer of an additional layer store: containers/storage's `PutAdditionalLayer`. The layer's files stay there,
 * and may be fetched only when somebody reads them; the store keeps a stand-in, and tells the other when that goes.
 *
 *   the other store's blob ─▶ digests, tar-split ─▶ the stand-in's tree compared with it ─▶ layer ● ─▶ record ●
 *
 * So the layer can be given back byte for byte like every other (I6), and nothing that is claimed of it is believed.
 *
 * @module
 */
import { chainOn } from "../../core/chain_id.ts";
import type { ChainId, DiffId, Digest } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { JSON_BYTES_MAX } from "../../core/limits.ts";
import { outsideLayersOf } from "../../driver/driver.ts";
import type { AdditionalLayer } from "../../driver/interfaces/additional_layer_driver.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { ensureDir } from "../../host/files.ts";
import type { BlobInfo } from "../../metadata/blob_info.ts";
import type { CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
import { directoryClaim } from "../../metadata/claims.ts";
import { parseLayerClaims } from "../../metadata/containers_storage/layer_info.ts";
import { type LayerRecord, TAR_SPLIT_FILE } from "../../metadata/layer_record.ts";
import { chunksOf } from "../../stream/pipe.ts";
import { throwIfAborted } from "../../stream/signal.ts";
import { type ReadBlob, splitThrough } from "../../worker/ingest.ts";
import { locationsOf, requireRoom } from "../chains.ts";
import { namingRoot, type StoreContext, syncUnlessVolatile, underLock } from "../context.ts";
import { damaged } from "../export.ts";
import { HeldLayers } from "../held_layers.ts";
import { deleteUnneeded } from "../release.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";
import { ensureHere } from "../roots/refer.ts";
import { makeView } from "./record_view.ts";
import { claimId, type CreateRecordOptions, publishRecord, requireFree } from "./make_record.ts";
import { layerBelow } from "./parent.ts";

/** A layer of an additional layer store. */
export interface PutAdditionalLayerOptions extends Omit<CreateRecordOptions, "blob"> {
  /** Digest of its table of contents, by which the stores know it. */
  readonly tocDigest: Digest;
  /** The image that names it: some stores look layers up by that. */
  readonly ref?: string;
  /** The layer that it lies on, by a record's id or name, a ChainID, or a prefix. Absent: it is a base layer. */
  readonly parent?: string;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a record of it.
 * @throws {StrataError} `NOT_FOUND` naming the stores, or for the parent; `NOT_SUPPORTED` for drivers without such stores;
 *   `CONFLICT`; `DIGEST_MISMATCH` when the layer is not what its store claims; `CORRUPT` when its files are not those of its
 *   blob; `MAX_DEPTH`, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `LOCKED`, `ABORTED`; nothing is left then
 */
export async function putAdditionalLayer(
  context: StoreContext,
  options: PutAdditionalLayerOptions,
): Promise<CatalogRecord> {
  context.dockerd.requireAbsent();
  requireFree(context, options);
  using claimed = claimId(context, options.id);
  await using found = await lookUp(context, options);
  using held = new HeldLayers(context);
  const below = layerBelow(context, options);
  if (below.chainId !== undefined) await ensureHere(context, below.chainId, held);
  const { record, blob } = await namingRoot(
    context,
    () => take(context, { found, parent: below.chainId, held, options }),
  );
  const { chainId } = record;
  const { id, names, metadata, flags, mountLabel, signal } = { ...options, id: claimed.id };
  const labelled = mountLabel === undefined ? {} : { mountLabel };
  const viewOptions = { ...labelled, ...(signal === undefined ? {} : { signal }) };
  try {
    const view = await makeView(context, { id, chainId, idMappings: below.idMappings, options: viewOptions });
    try {
      return await publishRecord(context, id, {
        target: { kind: "layer", chainId, ...(view === undefined ? {} : { view }) },
        parent: below.recordId,
        idMappings: below.idMappings,
        blob,
        ...labelled,
        ...(names === undefined ? {} : { names }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(flags === undefined ? {} : { flags }),
      });
    } catch (error) {
      if (view !== undefined) await releaseRWLayer(context, view);
      throw error;
    }
  } catch (error) {
    held[Symbol.dispose]();
    await deleteUnneeded(context, chainId);
    throw error;
  }
}

async function lookUp(
  { driver }: StoreContext,
  { tocDigest, ref = "" }: PutAdditionalLayerOptions,
): Promise<AdditionalLayer> {
  const { name, options } = driver.spec;
  if (driver.additionalLayers === undefined) {
    throw new StrataError(
      "NOT_SUPPORTED",
      `Cannot use an additional layer with driver "${name}": it knows no additional layer stores; use driver "overlay2"`,
      { feature: "additional layer stores" },
    );
  }
  const found = await driver.additionalLayers.lookupAdditionalLayer(tocDigest, ref);
  if (found !== undefined) return found;
  const searched = Object.entries(options).filter(([key]) => key.endsWith(".additionallayerstore"));
  const where = searched.length === 0
    ? 'no store is given; name one with the option "overlay2.additionallayerstore"'
    : `none of ${searched.map(([, value]) => value).join(", ")} has it; check that the store's program runs`;
  const message = `Cannot find the additional layer ${tocDigest}: ${where}`;
  throw new StrataError("NOT_FOUND", message, { kind: "additional layer", ref: tocDigest });
}

interface TakeRequest {
  readonly found: AdditionalLayer;
  readonly parent: ChainId | undefined;
  readonly held: HeldLayers;
  readonly options: PutAdditionalLayerOptions;
}

interface Taken {
  readonly record: LayerRecord;
  readonly blob: BlobInfo;
}

async function take(context: StoreContext, request: TakeRequest): Promise<Taken> {
  const { driver, claims } = context;
  const { found, parent, options: { signal } } = request;
  const below = locationsOf(context, parent);
  requireRoom(below.length, 1);
  const cacheId = randomCacheId();
  // Until the record is there, the directory is garbage for gc.
  using _claim = await claims.take(directoryClaim(cacheId), { signal });
  await found.createAs(cacheId, below[0]?.cacheId);
  let keep: CacheId | undefined;
  try {
    const taken = await makeLayer(context, { ...request, cacheId, below });
    keep = taken.record.cacheId;
    return taken;
  } finally {
    // Where the layer is here already, that one is used.
    if (keep !== cacheId) await driver.remove(cacheId).catch(() => {});
  }
}

interface MakeRequest extends TakeRequest {
  readonly cacheId: CacheId;
  /** The stack below, top first. */
  readonly below: readonly LayerLocation[];
}

async function makeLayer(context: StoreContext, request: MakeRequest): Promise<Taken> {
  const { found, cacheId, below, parent, held, options: { tocDigest, signal } } = request;
  const { driver, pool, settings, layerDb } = context;
  await using staging = context.staging.create("additional layer");
  const recordDir = staging.path("record");
  ensureDir(recordDir, 0o700);
  const tarSplitPath = `${recordDir}/${TAR_SPLIT_FILE}`;
  const stack = [driver.locate(cacheId), ...below] as const;
  const work = { driver: driver.spec, tarSplitPath, stack };
  const aborting = signal === undefined ? {} : { signal };
  const source = { kind: "stream", stream: found.blob() } as const;
  const read = await splitThrough(pool, { ...work, source, limits: settings.limits, ...aborting });
  await requireClaims(found, read, tocDigest);
  const { digest, sizeBytes: size, compression } = read.blob;
  const blob: BlobInfo = { digest, size, compression, tocDigest };
  const chainId = chainOn(parent, read.diffId);
  const actual = await verified(() => pool.run("verify", work, aborting), chainId);
  if (actual !== String(read.diffId)) throw damaged(chainId, `its files give ${actual}, and its blob ${read.diffId}`);
  const known = held.findSound(chainId);
  if (known !== undefined) return { record: known, blob };
  const outside = outsideLayersOf(driver).standInOf(cacheId);
  const record: LayerRecord = {
    chainId,
    diffId: read.diffId,
    ...(parent === undefined ? {} : { parent }),
    cacheId,
    sizeBytes: await driver.diffSize(cacheId, below[0]?.cacheId),
    created: new Date().toISOString(),
    ...(outside === undefined ? {} : { outside }),
    blob,
    ...await pool.run("survey", { tarSplitPath }, aborting),
  };
  throwIfAborted(signal);
  layerDb.stageRecord(recordDir, record);
  await syncUnlessVolatile(context, { fileSystems: [staging.dir], home: driver.spec });
  return { record: await publish(context, record, { recordDir, held }), blob };
}

async function publish(
  context: StoreContext,
  record: LayerRecord,
  { recordDir, held }: { readonly recordDir: string; readonly held: HeldLayers },
): Promise<LayerRecord> {
  const { layerDb, layout } = context;
  return await underLock(context, async (lock) => {
    if (record.parent !== undefined) layerDb.read(record.parent);
    held.add(record.chainId);
    const other = layerDb.findSound(record.chainId);
    if (other !== undefined) return other;
    layerDb.publish(lock, { chainId: record.chainId, stagedDir: recordDir });
    await syncUnlessVolatile(context, { dirs: [layout.layersDir, layout.layerDbDir] });
    return record;
  });
}

/** What the store says of the layer must be so, as far as it says something. */
async function requireClaims(found: AdditionalLayer, read: ReadBlob, tocDigest: Digest): Promise<void> {
  const claims = parseLayerClaims(await textOf(found.info(), tocDigest), tocDigest);
  const pairs: readonly [what: string, expected: Digest | undefined, actual: Digest | undefined][] = [
    ["table of contents", claims.tocDigest, tocDigest],
    ["table of contents", tocDigest, read.blob.tocDigest],
    ["blob", claims.blob, read.blob.digest],
    ["uncompressed tar", claims.diffId, read.diffId satisfies DiffId],
  ];
  for (const [what, expected, actual] of pairs) {
    if (expected === undefined || actual === undefined || String(expected) === String(actual)) continue;
    throw new StrataError(
      "DIGEST_MISMATCH",
      `Cannot use the additional layer ${tocDigest}: its ${what} is ${actual}, expected ${expected}; fetch it again`,
      { expected, actual, sizeBytes: read.blob.sizeBytes },
    );
  }
}

async function textOf(stream: ReadableStream<Uint8Array>, subject: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunksOf(stream)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length <= JSON_BYTES_MAX) continue;
    const message =
      `Cannot use the additional layer ${subject}: what its store tells of it has more than ${JSON_BYTES_MAX} bytes`;
    throw new StrataError("LIMIT_EXCEEDED", message, { limit: "JSON_BYTES_MAX", max: JSON_BYTES_MAX });
  }
  return text + decoder.decode();
}

/** A tree that does not fit is damage of that layer. */
async function verified(verify: () => Promise<Digest>, chainId: ChainId): Promise<Digest> {
  try {
    return await verify();
  } catch (error) {
    if (error instanceof StrataError && error.code === "CORRUPT") throw damaged(chainId, error);
    throw error;
  }
}
