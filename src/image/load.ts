// SPDX-License-Identifier: Apache-2.0
/**
 * Loading saved images: what is known is skipped unread, the rest is taken in side by side, and then the image is recorded.
 *
 *   source ─▶ files ─▶ images ─▶ layers that are missing ─▶ store ● ─▶ config, names ●
 *
 * I1: an image is recorded after its layers, under the write lock, with its chain looked at under the same lock. What is
 * counted on meanwhile is held, so that nobody takes it away.
 *
 * @module
 */
import { chainOn } from "../core/chain_id.ts";
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import type { ChainId, DiffId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { fromOsError } from "../host/errno.ts";
import { type BlobDiffId, noteDiffId } from "../metadata/blob_diff_ids.ts";
import type { ImageId } from "../metadata/image_config.ts";
import { formatImageName, type ImageName, parseImageName } from "../metadata/image_name.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { type StoreContext, underLock } from "../store/context.ts";
import type { Layer } from "../store/layer.ts";
import { type IncomingLayer, takeIn, type TakeInProgress } from "../store/take_in.ts";
import { requireSize } from "./document.ts";
import { type ImageFiles, requirePart } from "./image_files.ts";
import { type ImageSource, openSource } from "./open_source.ts";
import type { PlannedImage } from "./planned_image.ts";
import { formatPlatform, parsePlatform } from "./platform.ts";
import { readImages } from "./read_images.ts";

/** What is loaded, and how. */
export interface LoadOptions {
  /** The image's name, in place of those in the archive; for an archive of one image. */
  readonly name?: string;
  /** `os/arch` or `os/arch/variant`. Default: this machine's, where there are several. */
  readonly platform?: string;
  /** Aborting leaves nothing of the image that was being loaded behind. */
  readonly signal?: AbortSignal;
  /** Told of every layer as it is read. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** Where a load is: which layer of which image, and how many bytes of it came since the last call. */
export interface LoadProgress {
  /** The image that is being loaded. */
  readonly imageId: ImageId;
  /** The layer. */
  readonly diffId: DiffId;
  /** `known`: the layer is here and will not be read. */
  readonly state: "known" | "reading";
  /** Bytes of the layer as saved, read since the last call for it. */
  readonly bytes: number;
  /** Bytes of the layer as saved; 0 for a known one. */
  readonly totalBytes: number;
}

/** An image that was loaded. */
export interface LoadedImage {
  /** Digest of its config. */
  readonly imageId: ImageId;
  /** The names it was given. */
  readonly names: readonly string[];
  /** Absent: it has no layers. */
  readonly chainId?: ChainId;
  /** `os/arch`, with the variant where there is one. */
  readonly platform: string;
  /** Bottom first. */
  readonly layers: readonly LoadedLayer[];
  /** What a person should know, such as a name that could not be used. */
  readonly notes: readonly string[];
  /** How many owners, modes, devices and attributes of its new layers could not be set on disk. Exports hold them. */
  readonly droppedAttributes: number;
  /** The first of them in each new layer, at most a hundred a layer. */
  readonly dropped: readonly DroppedAttribute[];
}

/** A layer of a loaded image. */
export interface LoadedLayer {
  /** Digest of its uncompressed tar. */
  readonly diffId: DiffId;
  /** The stack whose top it is. */
  readonly chainId: ChainId;
  /** `known`: it was here before. */
  readonly state: "known" | "new";
}

/**
 * Loads all images of a docker-archive, an OCI archive or an OCI layout, one after the other. When one fails, those before
 * it stay.
 * @throws {StrataError} `NOT_FOUND`, `INVALID_ARCHIVE`, `DIGEST_MISMATCH`, `LIMIT_EXCEEDED`, `NOT_SUPPORTED`,
 *   `INVALID_ARGUMENT`, `MAX_DEPTH`, `NO_SPACE`, `LOCKED`, `ABORTED`
 */
export async function loadImage(
  context: StoreContext,
  source: ImageSource,
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  try {
    context.dockerd.requireAbsent();
    return await loadAll(context, source, options);
  } catch (error) {
    // Who takes a stream owns it, also when it never came to be read.
    if (source.kind === "stream" && !source.stream.locked) await source.stream.cancel(error).catch(() => {});
    throw error;
  }
}

async function loadAll(context: StoreContext, source: ImageSource, options: LoadOptions): Promise<LoadedImage[]> {
  const name = options.name === undefined ? undefined : parseImageName(options.name);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  await using open = await openSource(context, source, options.signal);
  const images = renamed(readImages(open.files, platform), name);
  const loaded: LoadedImage[] = [];
  for (const image of images) {
    const load = new ImageLoad(context, { files: open.files, image, options });
    try {
      loaded.push(await load.run());
    } catch (error) {
      throw fromOsError(error, `load image ${image.imageId} from "${open.files.shownAs}"`);
    }
  }
  return loaded;
}

function renamed(images: readonly PlannedImage[], name: ImageName | undefined): readonly PlannedImage[] {
  if (name === undefined) return images;
  if (images.length > 1) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot name the image "${formatImageName(name)}": there are ${images.length} images; load them without a name`,
      { argument: "name" },
    );
  }
  return images.map((image) => ({ ...image, names: [name], notes: [] }));
}

interface LoadTask {
  readonly files: ImageFiles;
  readonly image: PlannedImage;
  readonly options: LoadOptions;
}

/** One image on its way in. */
class ImageLoad {
  readonly #context: StoreContext;
  readonly #task: LoadTask;
  /** The chain of each layer, bottom first. */
  readonly #chains: readonly ChainId[];

  constructor(context: StoreContext, task: LoadTask) {
    this.#context = context;
    this.#task = task;
    let below: ChainId | undefined;
    this.#chains = task.image.config.rootfs.diff_ids.map((diffId) => below = chainOn(below, diffId));
  }

  async run(): Promise<LoadedImage> {
    const { handles } = this.#context;
    const known = await underLock(this.#context, () => this.#retainKnown(), this.#task.options.signal);
    try {
      const from = known === undefined ? 0 : this.#chains.indexOf(known.chainId) + 1;
      this.#reportKnown(from);
      if (from < this.#chains.length) return this.#result(from, await this.#takeInFrom(from, known?.chainId));
      await this.#record();
      return this.#result(from, []);
    } finally {
      if (known !== undefined) handles.drop(known);
    }
  }

  /** A handle of the highest layer that is here, and sound with all below it. */
  #retainKnown(): Layer | undefined {
    const { handles, layerDb } = this.#context;
    let known: LayerRecord | undefined;
    for (const chainId of this.#chains) {
      const record = layerDb.findSound(chainId);
      if (record === undefined) break;
      known = record;
    }
    return known && handles.retain(known);
  }

  #reportKnown(count: number): void {
    const { image: { imageId, config }, options: { onProgress } } = this.#task;
    for (const diffId of config.rootfs.diff_ids.slice(0, count)) {
      onProgress?.({ imageId, diffId, state: "known", bytes: 0, totalBytes: 0 });
    }
  }

  /** Takes in what is missing and records the image; gives the records of the layers from there on. */
  async #takeInFrom(from: number, parent: ChainId | undefined): Promise<readonly LayerRecord[]> {
    const { image: { imageId, config }, options: { signal, onProgress } } = this.#task;
    const layers = config.rootfs.diff_ids.slice(from).map((diffId, index) => this.#incoming(diffId, from + index));
    const request = {
      layers,
      parent,
      existing: "trust" as const,
      ...(signal === undefined ? {} : { signal }),
      onProgress: (index: number, event: TakeInProgress) => {
        if (event.kind !== "read") return;
        const { bytes } = event;
        const { expectedDiffId: diffId, source: { length: totalBytes } } = layers[index]!;
        onProgress?.({ imageId, diffId, state: "reading", bytes, totalBytes });
      },
    };
    return await takeIn(this.#context, request, async (records) => {
      await this.#record(records);
      return records;
    });
  }

  #incoming(diffId: DiffId, index: number) {
    const { files, image } = this.#task;
    const { name, expectedBlob } = image.layers[index]!;
    const part = requirePart(files, name);
    const { sizeBytes } = expectedBlob ?? {};
    if (sizeBytes !== undefined) requireSize(files, { name, expected: sizeBytes, actual: part.length });
    return {
      source: { kind: "file", ...part },
      expectedDiffId: diffId,
      ...(expectedBlob === undefined ? {} : { expectedBlob }),
    } as const satisfies IncomingLayer;
  }

  /** Records the image, whose layers are all here by now; `fresh` are those that were taken in, bottom first. */
  async #record(fresh: readonly LayerRecord[] = []): Promise<void> {
    const { images, layerDb, layout } = this.#context;
    const { image: { imageId, configBytes, names }, options: { signal } } = this.#task;
    const top = this.#chains.at(-1);
    await underLock(this.#context, (lock) => {
      if (top !== undefined && layerDb.findSound(top) === undefined) throw lost(imageId, top);
      for (const known of this.#blobsOf(fresh)) noteDiffId(lock, layout, known);
      images.put(lock, configBytes);
      for (const name of names) images.tag(lock, name, imageId);
    }, signal);
  }

  /** The blobs that a registry would have under these digests; those of an archive without digests exist nowhere else. */
  #blobsOf(fresh: readonly LayerRecord[]): BlobDiffId[] {
    const described = this.#task.image.layers.map(({ expectedBlob }) => expectedBlob?.digest);
    return fresh.flatMap(({ blob, diffId }) => {
      return blob !== undefined && described.includes(blob.digest) ? [{ blob: blob.digest, diffId }] : [];
    });
  }

  #result(from: number, fresh: readonly LayerRecord[]): LoadedImage {
    const { imageId, config, names, notes } = this.#task.image;
    const top = this.#chains.at(-1);
    return {
      imageId,
      names: names.map(formatImageName),
      ...(top === undefined ? {} : { chainId: top }),
      platform: formatPlatform(config),
      layers: config.rootfs.diff_ids.map((diffId, index): LoadedLayer => {
        return { diffId, chainId: this.#chains[index]!, state: index < from ? "known" : "new" };
      }),
      notes,
      droppedAttributes: fresh.reduce((sum, { droppedAttributes = 0 }) => sum + droppedAttributes, 0),
      dropped: fresh.flatMap(({ dropped = [] }) => dropped),
    };
  }
}

function lost(imageId: ImageId, chainId: ChainId): StrataError<"NOT_FOUND"> {
  return new StrataError(
    "NOT_FOUND",
    `Cannot load image ${imageId}: its layer ${chainId} was removed meanwhile; load it again`,
    { kind: "layer", ref: chainId },
  );
}
