// SPDX-License-Identifier: Apache-2.0
/**
 * Making a layer of what a differ has staged.
 *
 *   staged tree + tar-split ─▶ archive rebuilt, DiffID compared ─▶ settled and sealed on the parent ─▶ published ●
 *
 * From the rebuilt archive on it is the way of every layer, so the result is the layer that its tar would have made.
 *
 * @module
 */
import type { LayerDescriptor } from "../../core/descriptor.ts";
import type { ChainId, DiffId } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { layersDirOf } from "../../driver/parts/layer_directory.ts";
import type { LayerRecord } from "../../metadata/layer_record.ts";
import type { IngestedLayer } from "../../worker/ingest.ts";
import type { JobRequest } from "../../worker/job_map.ts";
import { locationsOf, requireRoom } from "../chains.ts";
import { namingRoot, type StoreContext } from "../context.ts";
import { HeldLayers } from "../held_layers.ts";
import type { ExpectedLayer } from "../incoming_layer.ts";
import type { Layer } from "../layer.ts";
import { publishLayers } from "../publish.ts";
import type { ExistingLayers } from "../replacement.ts";
import { ensureHere } from "../roots/refer.ts";
import { sealInOrder } from "../seal_layers.ts";
import { SealedInHome } from "../sealed_in_home.ts";
import { givenIn, type StagedArchive, type StagedLayerDiff } from "./staged_layer_diff.ts";

/** How a staged diff is registered. */
export interface RegisterStagedDiffOptions {
  /** The stack that the layer sits on. Absent: it is a base layer. */
  readonly parent?: ChainId;
  /** Refuse the layer unless its uncompressed tar has this digest, whatever the differ says. */
  readonly expectedDiffId?: DiffId;
  /** How a registry's manifest describes the layer; kept with it, unless it is here already. */
  readonly descriptor?: LayerDescriptor;
  /** What becomes of a layer that is here already, as with `register`. Default `verify`. */
  readonly existing?: ExistingLayers;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** A layer that was staged. */
export interface RegisteredDiff {
  /** A handle of it. */
  readonly layer: Layer;
  /** Whether its tar is the one that the differ's tar-split told, or the one that the staged tree packs to. */
  readonly archive: StagedArchive;
}

/**
 * Registers what a differ has staged. Once the work has begun it is used up, whatever comes of it.
 * @throws {StrataError} `NOT_RETAINED` for what was registered or discarded before; `NOT_FOUND` (the parent), `MAX_DEPTH`;
 *   `DIGEST_MISMATCH` when it is not the layer that it should be, `CORRUPT` when contents and tar-split do not fit;
 *   `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `LOCKED`, `ABORTED`
 */
export async function registerStagedDiff(
  context: StoreContext,
  staged: StagedLayerDiff,
  options: RegisterStagedDiffOptions = {},
): Promise<RegisteredDiff> {
  context.dockerd.requireAbsent();
  staged.require(context);
  using held = new HeldLayers(context);
  const { parent } = options;
  if (parent !== undefined) await ensureHere(context, parent, held);
  requireRoom(locationsOf(context, parent).length, 1);
  const record = await namingRoot(context, () => takeOver(context, staged, { ...options, held }));
  return { layer: context.handles.retain(record), archive: staged.archive };
}

type TakeOver = RegisterStagedDiffOptions & { readonly held: HeldLayers };

async function takeOver(
  context: StoreContext,
  staged: StagedLayerDiff,
  { parent, held, signal, existing = "verify", ...options }: TakeOver,
): Promise<LayerRecord> {
  const expected = expectedOf(staged, options);
  const { staging, whiteouts } = staged.take(context);
  await using _staging = staging;
  const dir = staging.path("0");
  const ingested = await adopt(context, {
    archive: staged.archive,
    given: givenIn(staging).dir,
    dir,
    whiteouts,
    signal,
  });
  const below = locationsOf(context, parent);
  await using inHome = new SealedInHome(context);
  const sealed = await sealInOrder(context, {
    layers: [expected],
    arriving: [Promise.resolve({ kind: "unpacked", ingested, dir })],
    parent,
    below,
    existing,
    held,
    inHome,
    signal,
    onSealed: () => {},
  });
  const [record] = await publishLayers(context, { staged: sealed, staging, below, held, signal });
  if (record === undefined) throw new Error("Cannot register a staged diff: publishing it gave no record");
  return record;
}

function expectedOf(
  { output: { diffId } }: StagedLayerDiff,
  { expectedDiffId = diffId, descriptor }: Pick<RegisterStagedDiffOptions, "expectedDiffId" | "descriptor">,
): ExpectedLayer {
  if (diffId !== undefined && expectedDiffId !== diffId) {
    throw new StrataError(
      "DIGEST_MISMATCH",
      `Cannot register the staged diff: its differ says that it is ${diffId}, expected ${expectedDiffId}; fetch it again`,
      { expected: String(expectedDiffId), actual: diffId, sizeBytes: 0 },
    );
  }
  return {
    ...(expectedDiffId === undefined ? {} : { expectedDiffId }),
    ...(descriptor === undefined ? {} : { descriptor }),
  };
}

type Adoption =
  & Pick<JobRequest<"adoptDiff">, "given" | "archive" | "whiteouts" | "dir">
  & { readonly signal: AbortSignal | undefined };

async function adopt(
  { pool, driver, settings: { limits } }: StoreContext,
  { signal, ...request }: Adoption,
): Promise<IngestedLayer> {
  const { ownership } = driver.capabilities;
  const { idMappings } = driver.spec;
  const job = { ...request, destination: layersDirOf(driver), ownership, idMappings, limits };
  // It writes, and what it has written is to be removed when it has stopped.
  const run = signal === undefined ? {} : { signal, whenAborted: "wait" as const };
  const unpacked = await pool.run("adoptDiff", job, run);
  const { diffId: digest, archiveBytes: sizeBytes } = unpacked;
  // The blob that was seen is the archive itself; of what was distributed only claims are known.
  return { ...unpacked, blob: { digest, sizeBytes, compression: "none" } };
}
