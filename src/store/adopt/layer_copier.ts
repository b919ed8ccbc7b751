// SPDX-License-Identifier: Apache-2.0
/**
 * Copying stacks of another root into the store, each layer once, bottom first.
 *
 * Nothing that the root says is believed. A layer is here when its archive was put together from the files there and has
 * the digest that its name is made of: with shared blocks where the file systems can, else by the way of every layer. A layer
 * that was only stood for gets files of its own in the same place, so that those above find it.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import type { CacheId } from "../../core/ids.ts";
import { hasCode, StrataError } from "../../core/errors.ts";
import { fromOsError, isOsError } from "../../host/errno.ts";
import { statPath } from "../../host/files.ts";
import { layerClaim } from "../../metadata/claims.ts";
import type { LayerRecord } from "../../metadata/layer_record.ts";
import type { MountRecord } from "../../metadata/mounts.ts";
import type { ContentSums } from "../../worker/jobs/check_contents.ts";
import { diff } from "../changes.ts";
import { recordsOf } from "../chains.ts";
import type { StoreContext } from "../context.ts";
import { exportLayer, type ExportSource, exportSource } from "../export.ts";
import { HeldLayers } from "../held_layers.ts";
import type { Layer } from "../layer.ts";
import type { ReadingContext } from "../reading.ts";
import { register, type RegisterProgress } from "../register.ts";
import { release } from "../release.ts";
import { requireUnmounted } from "../replacement.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";
import type { AdoptOptions, AdoptProgress } from "./adopt_report.ts";
import { shareLayer } from "./share_layer.ts";

/** Copies layers of one root, for one operation. */
export class LayerCopier {
  /** Bytes of files that have the same blocks as there. */
  bytesShared = 0;
  /** Bytes of files that were read and written. */
  bytesCopied = 0;
  readonly #context: StoreContext;
  readonly #root: ReadOnlyRoot;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: (event: AdoptProgress) => void;
  /** Devices of the root with which the store shares no blocks. */
  readonly #refusing = new Set<string>();
  /** Layers that cannot be copied: many stacks may lie on one. */
  readonly #failures = new Map<CacheId, StrataError>();

  constructor(
    context: StoreContext,
    root: ReadOnlyRoot,
    { signal, onProgress = () => {} }: Pick<AdoptOptions, "signal" | "onProgress">,
  ) {
    this.#context = context;
    this.#root = root;
    this.#signal = signal;
    this.#onProgress = onProgress;
  }

  /**
   * Copies a stack, as far as it is not here, and gives a handle of it.
   * @param reading the root, perhaps with an eye to a record whose files are to be copied
   * @throws {StrataError} `CORRUPT` when a layer there is not what its digest says; `IN_USE` naming the mounts of what stands
   *   for it here; as registering a layer does. Nothing that was copied for it is left then
   */
  async copyChain(top: ChainId, reading: ReadingContext = this.#root.reading): Promise<Layer> {
    let below: Layer | undefined;
    try {
      for (const record of recordsOf(reading, top).reverse()) {
        const layer = this.#find(record.chainId) ?? await this.#copy(reading, record);
        // The one above keeps it from here on.
        if (below !== undefined) await release(this.#context, below);
        below = layer;
      }
    } catch (error) {
      if (below !== undefined) await release(this.#context, below);
      throw error;
    }
    if (below === undefined) throw new Error(`Cannot copy ${top}: its chain is empty`);
    return below;
  }

  /**
   * Makes a layer of what a writable layer there changes, under the ids of its archive, on a copy of its parent.
   * @throws {StrataError} as {@link LayerCopier.copyChain}
   */
  async copyChanges(record: MountRecord): Promise<Layer> {
    const { parent } = record;
    const below = parent === undefined ? undefined : await this.copyChain(parent);
    try {
      const changes = diff(this.#root.reading, { kind: "writable", record }, this.#aborting);
      const layer = await register(this.#context, changes, {
        ...this.#aborting,
        ...(parent === undefined ? {} : { parent }),
        onProgress: (event) => this.#report(event),
      });
      this.bytesCopied += (await this.#sumsOf(this.#context, exportSource(this.#context, layer.chainId))).bytes;
      return layer;
    } finally {
      if (below !== undefined) await release(this.#context, below);
    }
  }

  /** A layer that is here with files of its own. */
  #find(chainId: ChainId): Layer | undefined {
    using held = new HeldLayers(this.#context);
    const record = held.findSound(chainId);
    return record === undefined || record.outside !== undefined ? undefined : this.#context.handles.retain(record);
  }

  async #copy(reading: ReadingContext, record: LayerRecord): Promise<Layer> {
    const { chainId, cacheId } = record;
    const known = this.#failures.get(cacheId);
    if (known !== undefined) throw known;
    const here = this.#context.layerDb.findSound(chainId);
    if (here !== undefined) requireUnmounted(this.#context, chainId, here.cacheId);
    try {
      const source = exportSource(reading, chainId);
      const { bytes } = await this.#sumsOf(reading, source);
      return await this.#share(record, source) ?? await this.#copyArchive(reading, { record, bytes });
    } catch (error) {
      const failure = failureOf(chainId, error);
      if (failure.code === "CORRUPT") this.#failures.set(cacheId, failure);
      throw failure;
    }
  }

  async #share(record: LayerRecord, source: ExportSource): Promise<Layer | undefined> {
    const { chainId, parent, descriptor } = record;
    const device = statPath(source.stack[0].dir)?.dev ?? "";
    if (this.#refusing.has(device)) return undefined;
    using _making = await this.#context.claims.take(layerClaim(chainId), { signal: this.#signal });
    const made = this.#find(chainId);
    if (made !== undefined) return made;
    const request = { root: this.#root, source, parent, descriptor, signal: this.#signal };
    const shared = await shareLayer(this.#context, request);
    if (shared === undefined) {
      this.#refusing.add(device);
      return undefined;
    }
    this.bytesShared += shared.bytes;
    this.#onProgress({ chainId, bytes: shared.bytes });
    return shared.layer;
  }

  async #copyArchive(
    reading: ReadingContext,
    { record: { chainId, diffId, parent, descriptor }, bytes }: {
      readonly record: LayerRecord;
      readonly bytes: number;
    },
  ): Promise<Layer> {
    const layer = await register(this.#context, exportLayer(reading, chainId, this.#aborting), {
      ...this.#aborting,
      ...(parent === undefined ? {} : { parent }),
      ...(descriptor === undefined ? {} : { descriptor }),
      expectedDiffId: diffId,
      existing: "copy",
      onProgress: (event) => this.#report(event, chainId),
    });
    this.bytesCopied += bytes;
    return layer;
  }

  #sumsOf({ driver }: Pick<ReadingContext, "driver">, { tarSplitPath, stack }: ExportSource): Promise<ContentSums> {
    const request = { driver: driver.spec, tarSplitPath, stack };
    return this.#context.pool.run("checkContents", request, this.#aborting);
  }

  #report(event: RegisterProgress, chainId?: ChainId): void {
    if (event.kind !== "read") return;
    this.#onProgress({ ...(chainId === undefined ? {} : { chainId }), bytes: event.bytes });
  }

  get #aborting(): { readonly signal?: AbortSignal } {
    return this.#signal === undefined ? {} : { signal: this.#signal };
  }
}

/** What is not there, does not fit, or is not what its digest says is damage, wherever it came to light. */
function failureOf(chainId: ChainId, error: unknown): StrataError {
  const isDamage = isOsError(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO") ||
    hasCode(error, "CORRUPT") || hasCode(error, "DIGEST_MISMATCH") || hasCode(error, "INVALID_ARCHIVE") ||
    hasCode(error, "NOT_FOUND");
  return isDamage ? unfit(chainId, error) : fromOsError(error, `copy layer ${chainId}`);
}

function unfit(chainId: ChainId, cause: StrataError | Error): StrataError {
  const path = hasCode(cause, "CORRUPT") ? cause.detail.path : chainId;
  const message = `Cannot copy layer ${chainId}: ${cause.message}`;
  return new StrataError("CORRUPT", message, { path }, { cause, hint: "Get the layer again from where it came" });
}
