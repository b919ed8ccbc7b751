// SPDX-License-Identifier: Apache-2.0
/**
 * Making a layer and its record: containers/storage's `Create`, `CreateWithFlags` and `Put`.
 *
 * A _sealed_ record stands for a layer. One that is made without a diff stands for a layer that changes nothing, and awaits
 * its diff; what another one's content is to be again (its template) stands for the same layer, so that digests, sizes and
 * tar-split are the template's, and nothing is copied. Where a record has ids of its own, it is shown through a writable
 * layer that is mapped, and that nobody writes to. A _writable_ record stands for a writable layer of its own.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import type { IdMappings } from "../../core/id_map.ts";
import type { RecordId } from "../../core/ids.ts";
import type { CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
import type { BlobInfo } from "../../metadata/blob_info.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { applyDiff } from "../apply_diff.ts";
import { namingRoot, type StoreContext } from "../context.ts";
import { commit } from "../commit.ts";
import { makeRWLayer, type MakeRWLayerOptions } from "../create_rw_layer.ts";
import { EMPTY_LAYER } from "../empty_layer.ts";
import { HeldLayers } from "../held_layers.ts";
import type { Layer } from "../layer.ts";
import { register, type RegisterOptions } from "../register.ts";
import { release } from "../release.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";
import { ensureHere } from "../roots/refer.ts";
import { type Target, targetOf } from "../target.ts";
import { type StagedItem, stageItems } from "./big_data.ts";
import { findRecord } from "./find_record.ts";
import {
  claimId,
  type CreateRecordOptions,
  ownBlob,
  publishRecord,
  type RecordSubject,
  requireFree,
} from "./make_record.ts";
import { layerBelow } from "./parent.ts";
import { makeView, mapsToShow, ownMountName } from "./record_view.ts";

/** How a layer is made that a record is to stand for. */
export interface CreateLayerOptions extends Omit<CreateRecordOptions, "flags" | "blob"> {
  /** The layer that it lies on, by a record's id or name, a ChainID, or a prefix. Absent: it is a base layer. */
  readonly parent?: string;
  /** `sealed` (the default): a layer, which never changes; `writable`: one to be mounted and changed. */
  readonly access?: "sealed" | "writable";
  /** The driver's options for a writable layer, `size` among them where quotas work. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /**
   * Under which ids it is shown: these, or the archives' own (`host`). Absent: those of the parent's record, else as the
   * store keeps its layers.
   */
  readonly idMappings?: IdMappings | "host";
  /** The record whose content it begins with; it lies on what that lies on. Its text and blob are copied with it. */
  readonly template?: string;
  /** Name of the writable layer. Absent: one made of the record's id. */
  readonly mountName?: string;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** How a layer is made with all that belongs to it. */
export interface PutLayerOptions extends CreateLayerOptions, Pick<CreateRecordOptions, "flags"> {
  /** Its tar, compressed or not. Absent: it has none yet. */
  readonly diff?: ReadableStream<Uint8Array>;
  /** Refuse a sealed layer unless its tar, or the bytes as given, are these. */
  readonly expected?: Pick<RegisterOptions, "expectedDiffId" | "expectedBlob">;
  /** Data items, by key. */
  readonly bigData?: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** Called with what has happened since the last call; it must not throw. */
  readonly onProgress?: RegisterOptions["onProgress"];
}

/** What making has come to, before there is a record. */
interface Made {
  readonly subject: RecordSubject;
  readonly blob?: BlobInfo | undefined;
  readonly metadata?: string;
  /** Takes back what is not needed, or, when no record follows, all of it. */
  readonly settle: (outcome: "recorded" | "failed") => Promise<unknown>;
}

/**
 * Makes a layer and its record.
 * @throws {StrataError} `CONFLICT` when the id, a name or the writable layer's name is taken; `NOT_FOUND` for the parent or
 *   the template; `INVALID_ARGUMENT`; as registering a layer and making a writable one do. Nothing is left then
 */
export async function putLayer(context: StoreContext, options: PutLayerOptions): Promise<CatalogRecord> {
  try {
    requireFree(context, options);
    context.dockerd.requireAbsent();
    if (options.bigData === undefined) return await makeClaimed(context, options, []);
    await using staging = context.staging.create("data items");
    const data = await namingRoot(context, () => stageItems(context, staging, options));
    return await makeClaimed(context, options, data);
  } catch (error) {
    if (options.diff?.locked === false) await options.diff.cancel(error).catch(() => {});
    throw error;
  }
}

async function makeClaimed(
  context: StoreContext,
  options: PutLayerOptions,
  data: readonly StagedItem[],
): Promise<CatalogRecord> {
  using claimed = claimId(context, options.id);
  return await make(context, claimed.id, { ...options, data });
}

async function make(
  context: StoreContext,
  id: RecordId,
  options: PutLayerOptions & { readonly data: readonly StagedItem[] },
): Promise<CatalogRecord> {
  const made = options.access === "writable"
    ? await makeWritable(context, id, options)
    : await makeSealed(context, id, options);
  try {
    const { metadata = made.metadata, names, flags, mountLabel } = options;
    const record = await publishRecord(context, id, {
      ...made.subject,
      data: options.data,
      ...(names === undefined ? {} : { names }),
      ...(flags === undefined ? {} : { flags }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(mountLabel === undefined ? {} : { mountLabel }),
      ...(made.blob === undefined ? {} : { blob: made.blob }),
    });
    await made.settle("recorded");
    return record;
  } catch (error) {
    await made.settle("failed");
    throw error;
  }
}

async function makeSealed(context: StoreContext, id: RecordId, options: PutLayerOptions): Promise<Made> {
  const below = layerBelow(context, options);
  const { layer, blob, awaits, metadata } = await sealedLayer(context, below.chainId, options);
  try {
    const { idMappings } = below;
    const view = await makeView(context, { id, chainId: layer.chainId, idMappings, options });
    return {
      subject: {
        target: {
          kind: "layer",
          chainId: layer.chainId,
          ...(awaits === undefined ? {} : { awaits }),
          ...(view === undefined ? {} : { view }),
        },
        parent: below.recordId,
        idMappings,
      },
      blob,
      ...(metadata === undefined ? {} : { metadata }),
      async settle(outcome) {
        if (outcome === "failed" && view !== undefined) await releaseRWLayer(context, view);
        await release(context, layer);
      },
    };
  } catch (error) {
    await release(context, layer);
    throw error;
  }
}

interface SealedContent {
  readonly layer: Layer;
  readonly blob?: BlobInfo | undefined;
  readonly awaits?: "diff";
  readonly metadata?: string;
}

async function sealedLayer(
  context: StoreContext,
  parent: ChainId | undefined,
  { diff, template, expected = {}, signal, onProgress }: PutLayerOptions,
): Promise<SealedContent> {
  const onParent = {
    ...(parent === undefined ? {} : { parent }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  if (template !== undefined) return await copyOf(context, template, { parent, diff, signal });
  if (diff === undefined) {
    return { layer: await register(context, EMPTY_LAYER.tarStream(), onParent), awaits: "diff" };
  }
  let blob: BlobInfo | undefined;
  const layer = await register(context, diff, { ...onParent, ...expected, onBlob: (read) => blob = read });
  return { layer, blob: ownBlob(layer, blob) };
}

interface CopyRequest {
  readonly parent: ChainId | undefined;
  readonly diff: ReadableStream<Uint8Array> | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The content of a template: of a sealed one its very layer, of a writable one what it holds now. */
async function copyOf(
  context: StoreContext,
  ref: string,
  { parent, diff, signal }: CopyRequest,
): Promise<SealedContent> {
  if (diff !== undefined) {
    const message = "Cannot make a layer from a template and from a diff: give one of the two";
    throw new StrataError("INVALID_ARGUMENT", message, { argument: "template" });
  }
  using held = new HeldLayers(context);
  const { record, target } = await templateOf(context, ref, held);
  if (parent !== undefined && parent !== target.record.parent) {
    const message = `Cannot use this parent: the template "${ref}" lies on another one; leave it out`;
    throw new StrataError("INVALID_ARGUMENT", message, { argument: "parent" });
  }
  const { metadata, blob } = record;
  const layer = target.kind === "layer"
    ? context.handles.retain(context.layerDb.read(target.record.chainId))
    : await commit(context, target.record, signal === undefined ? {} : { signal });
  const awaits = record.target.kind === "layer" ? record.target.awaits : undefined;
  return { layer, blob, metadata, ...(awaits === undefined ? {} : { awaits }) };
}

async function makeWritable(context: StoreContext, id: RecordId, options: PutLayerOptions): Promise<Made> {
  const { template: templateRef, mountName, diff, mountLabel, storageOptions, signal } = options;
  using held = new HeldLayers(context);
  const template = templateRef === undefined ? undefined : await templateOf(context, templateRef, held);
  const below = layerBelow(context, options);
  const { chainId } = below;
  if (chainId !== undefined) await ensureHere(context, chainId, held);
  const idMappings = chainId === undefined ? below.idMappings : await mapsToShow(context, chainId, below.idMappings);
  const request: MakeRWLayerOptions = {
    record: id,
    ...(chainId === undefined ? {} : { parent: chainId }),
    ...(idMappings === undefined ? {} : { idMappings }),
    ...(template === undefined ? {} : { template: template.target }),
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(storageOptions === undefined ? {} : { storageOptions }),
    ...(signal === undefined ? {} : { signal }),
  };
  const { name } = await makeRWLayer(context, mountName ?? ownMountName(id), request);
  try {
    if (diff !== undefined) await fill(context, name, { ...options, diff });
  } catch (error) {
    await releaseRWLayer(context, name);
    throw error;
  }
  return {
    subject: { target: { kind: "writable", mountName: name }, parent: below.recordId, idMappings: below.idMappings },
    ...(template === undefined ? {} : { metadata: template.record.metadata }),
    settle: (outcome) => outcome === "failed" ? releaseRWLayer(context, name) : Promise.resolve(),
  };
}

interface Template {
  readonly record: CatalogRecord;
  readonly target: Target;
}

/** The store must have what it copies, if only by a stand-in. */
async function templateOf(context: StoreContext, ref: string, held: HeldLayers): Promise<Template> {
  const { record, root } = findRecord(context, ref);
  if (record.target.kind === "layer") await ensureHere(context, record.target.chainId, held);
  else if (root !== undefined) {
    const message =
      `Cannot copy writable layer "${ref}": it lies in "${root.path}", which is only read; copy it here first, ` +
      'with "strata adopt"';
    throw new StrataError("NOT_SUPPORTED", message, { feature: "templates that are writable layers of further roots" });
  }
  return { record, target: targetOf(context, record) };
}

async function fill(
  context: StoreContext,
  name: MountName,
  { diff, signal, onProgress }: PutLayerOptions & { readonly diff: ReadableStream<Uint8Array> },
): Promise<void> {
  await applyDiff(context, () => context.mounts.read(name), {
    stream: diff,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: (bytes: number) => onProgress({ kind: "read", bytes }) }),
  });
}
