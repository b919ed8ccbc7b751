// SPDX-License-Identifier: Apache-2.0
/**
 * Bringing one record of another root into the catalog, with its layers and its data items.
 *
 *   claim the id ─▶ layers ─▶ data items, staged ─▶ write lock: data items, record ●
 *
 * When it fails before ●, the layers that came for it go again.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { hasCode, StrataError } from "../../core/errors.ts";
import { type CatalogRecord, mappingsOf, type RecordTarget } from "../../metadata/catalog/catalog_record.ts";
import { nameProblem } from "../../metadata/catalog/catalog_name.ts";
import { recordClaim } from "../../metadata/claims.ts";
import type { Staging } from "../../metadata/staging.ts";
import { stageBigData, type StagedItem } from "../catalog/big_data.ts";
import { makeView } from "../catalog/record_view.ts";
import { publishRecord } from "../catalog/make_record.ts";
import { namingRoot, type StoreContext } from "../context.ts";
import type { Layer } from "../layer.ts";
import { release } from "../release.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";
import type { AdoptStep } from "./adopt_report.ts";
import type { Candidate } from "./candidates.ts";
import type { LayerCopier } from "./layer_copier.ts";

/** Where records come from, and how. */
export interface AdoptRequest {
  readonly root: ReadOnlyRoot;
  readonly copier: LayerCopier;
  readonly signal: AbortSignal | undefined;
}

/**
 * Adopts one record.
 * @throws {StrataError} `CONFLICT` when the id is another layer's here; `NOT_SUPPORTED`; as copying its layers does
 */
export async function adoptRecord(
  context: StoreContext,
  candidate: Candidate,
  request: AdoptRequest,
): Promise<AdoptStep> {
  const { id } = candidate;
  // Who finds it claimed waits, and then finds the record.
  using _claim = await context.claims.take(recordClaim(id), { signal: request.signal });
  const present = context.catalog.has(id) ? context.catalog.get(id) : undefined;
  if (present !== undefined) requireSame(present, expectedChain(candidate));
  const layer = await layerOf(candidate, request);
  try {
    const { chainId } = layer;
    if (present === undefined) return await publish(context, candidate, { ...request, chainId });
    requireSame(present, chainId);
    return { kind: "present", id, chainId };
  } finally {
    await release(context, layer);
  }
}

function expectedChain({ target }: Candidate): ChainId | undefined {
  return target.kind === "layer" ? target.record.chainId : undefined;
}

/** @param chainId absent while it is not known */
function requireSame({ id, target }: CatalogRecord, chainId: ChainId | undefined): void {
  if (target.kind === "layer" && (chainId === undefined || chainId === target.chainId)) return;
  const message =
    `Cannot adopt "${id}": a record of this id is here, and stands for another layer; remove that one first`;
  throw new StrataError("CONFLICT", message, { kind: "record", name: id });
}

async function layerOf({ target, id }: Candidate, { root, copier }: AdoptRequest): Promise<Layer> {
  if (target.kind === "layer") return await copyOne(target.record.chainId, { id, root, copier });
  const { parent, initId } = target.record;
  if (root.kind === "containers-storage" && parent === undefined && initId !== undefined) {
    throw new StrataError(
      "NOT_SUPPORTED",
      `Cannot adopt "${id}": the layer below it has no digest there, so nothing tells on what its changes lie; commit it there first`,
      { feature: "changes of a layer without a digest" },
    );
  }
  return await copier.copyChanges(target.record);
}

/** The record's own files, or, where those are damaged, the ones of another record that stands for the same layer. */
async function copyOne(
  chainId: ChainId,
  { id, root, copier }: Pick<AdoptRequest, "root" | "copier"> & Pick<Candidate, "id">,
): Promise<Layer> {
  let failure: unknown;
  for (const record of new Set([id, ...root.reading.catalog.referencesTo(chainId).map((other) => other.id)])) {
    try {
      return await copier.copyChain(chainId, root.about(record).reading);
    } catch (error) {
      if (!hasCode(error, "CORRUPT")) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

interface PublishRequest extends AdoptRequest {
  readonly chainId: ChainId;
}

async function publish(context: StoreContext, candidate: Candidate, request: PublishRequest): Promise<AdoptStep> {
  const { id, record } = candidate;
  const { chainId, signal } = request;
  return await namingRoot(context, async () => {
    await using staging = context.staging.create("adopt");
    const data = await stageData(context, candidate, { ...request, staging });
    const idMappings = record && mappingsOf(record);
    const options = { ...mountLabelOf(record), ...(signal === undefined ? {} : { signal }) };
    const view = await makeView(context, { id, chainId, idMappings, options });
    try {
      const target = { ...targetAs(record?.target), chainId, ...(view === undefined ? {} : { view }) };
      const { names } = await publishNamed(context, candidate, { target, idMappings, data });
      const droppedNames = (record?.names ?? []).filter((name) => !names.includes(name));
      return { kind: "adopted", id, chainId, names, droppedNames };
    } catch (error) {
      if (view !== undefined) await releaseRWLayer(context, view);
      throw error;
    }
  });
}

/** Names can be taken until the record is there. */
async function publishNamed(
  context: StoreContext,
  { id, record }: Candidate,
  subject: Pick<Parameters<typeof publishRecord>[2], "target" | "idMappings" | "data">,
): Promise<CatalogRecord> {
  const { metadata, flags, blob, parent } = record ?? {};
  for (;;) {
    try {
      return await publishRecord(context, id, {
        ...subject,
        ...mountLabelOf(record),
        names: (record?.names ?? []).filter((name) => isFree(context, name)),
        parent,
        ...(metadata === undefined ? {} : { metadata }),
        ...(flags === undefined ? {} : { flags }),
        ...(blob === undefined ? {} : { blob }),
      });
    } catch (error) {
      if (!hasCode(error, "CONFLICT") || error.detail.kind !== "name") throw error;
    }
  }
}

/** A damaged record keeps its names. */
function isFree({ catalog }: StoreContext, name: string): boolean {
  if (nameProblem(name) !== undefined) return false;
  try {
    return catalog.findByName(name) === undefined;
  } catch (error) {
    if (hasCode(error, "CORRUPT")) return false;
    throw error;
  }
}

function mountLabelOf(record: CatalogRecord | undefined): { readonly mountLabel?: string } {
  return record?.mountLabel === undefined ? {} : { mountLabel: record.mountLabel };
}

/** What a writable layer changes is a layer from here on. */
function targetAs(target: RecordTarget | undefined): { readonly kind: "layer"; readonly awaits?: "diff" } {
  return target?.kind === "layer" && target.awaits !== undefined
    ? { kind: "layer", awaits: "diff" }
    : { kind: "layer" };
}

async function stageData(
  context: StoreContext,
  { id, record }: Candidate,
  { root, staging, signal }: AdoptRequest & { readonly staging: Staging },
): Promise<StagedItem[]> {
  const staged: StagedItem[] = [];
  for (const { key, digest } of record?.bigData ?? []) {
    const path = staging.path(`data-${staged.length}`);
    const value = root.bigData(id, key);
    const item = await stageBigData(context, path, { key, value, ...(signal === undefined ? {} : { signal }) });
    if (item.digest !== digest) {
      const message =
        `Cannot adopt data item "${key}" of "${id}": it is ${item.digest}, expected ${digest}; set it again`;
      throw new StrataError("CORRUPT", message, { path: root.path });
    }
    staged.push({ item, path });
  }
  return staged;
}
