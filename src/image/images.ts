// SPDX-License-Identifier: Apache-2.0
/**
 * What images there are, naming and removing them.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { Finding } from "../metadata/finding.ts";
import type { ImageId } from "../metadata/image_config.ts";
import { formatImageName, parseImageName } from "../metadata/image_name.ts";
import type { ImageRecord } from "../metadata/imagedb.ts";
import { attempt } from "../metadata/record_file.ts";
import { recordsOf } from "../store/chains.ts";
import { type StoreContext, underLock } from "../store/context.ts";
import type { DeletedLayer } from "../store/layer.ts";
import { deleteUnneeded } from "../store/release.ts";
import { formatPlatform } from "./platform.ts";

/** An image, for a list. */
export interface ImageSummary {
  /** Digest of its config. */
  readonly imageId: ImageId;
  /** Sorted. */
  readonly names: readonly string[];
  /** When it was built, as its config says. */
  readonly created?: string;
  /** `os/arch`, with the variant where there is one. */
  readonly platform: string;
  /** Absent: it has no layers. */
  readonly chainId?: ChainId;
  /** Layers of its config. */
  readonly layerCount: number;
  /** Bytes of all its layers; absent when one is missing or damaged. */
  readonly sizeBytes?: number;
}

/** All images, and what is wrong with some. */
export interface ImageSummaries {
  /** Newest first. */
  readonly images: readonly ImageSummary[];
  /** Records that cannot be read. */
  readonly findings: readonly Finding[];
}

/** What removing an image did. */
export interface RemovedImage {
  /** Names that were taken away. */
  readonly untagged: readonly string[];
  /** Absent: it has other names, and stays. */
  readonly deleted?: ImageId;
  /** Layers that nothing needed any more, top first. */
  readonly layers: readonly DeletedLayer[];
}

/** All images on disk. */
export function listImages(context: StoreContext): ImageSummaries {
  const { images, findings } = context.images.list();
  const names = context.images.names();
  const summaries = images.map((image) => summaryOf(context, image, names.get(image.imageId) ?? []));
  return { images: summaries.sort(byAge), findings };
}

/**
 * Gives an image a further name.
 * @returns the image
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `INVALID_ARGUMENT`
 */
export async function tagImage(context: StoreContext, ref: string, name: string): Promise<ImageId> {
  const parsed = parseImageName(name);
  return await underLock(context, (lock) => {
    const imageId = context.images.resolve(ref);
    context.images.tag(lock, parsed, imageId);
    return imageId;
  });
}

/**
 * Removes what `ref` means: a name, and with its last name the image; or by id the image with its name. Its layers go as
 * far as nothing else needs them.
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; `IN_USE` by id when it has several names
 */
export async function removeImage(context: StoreContext, ref: string): Promise<RemovedImage> {
  const { chainId, ...removed } = await underLock(context, (lock) => {
    const { images } = context;
    const imageId = images.resolve(ref);
    const names = images.namesOf(imageId);
    const named = namedBy(names, ref);
    if (named !== undefined && names.length > 1) {
      images.untag(lock, parseImageName(named));
      return { untagged: [named] };
    }
    if (names.length > 1) throw stillNamed(imageId, names);
    const chainId = attempt(() => images.get(imageId))?.chainId;
    images.remove(lock, imageId);
    return { untagged: names, deleted: imageId, chainId };
  });
  return { ...removed, layers: await deleteUnneeded(context, chainId) };
}

function summaryOf(context: StoreContext, image: ImageRecord, names: readonly string[]): ImageSummary {
  const { imageId, config, chainId } = image;
  const sizeBytes = chainId === undefined ? 0 : sizeOf(context, chainId);
  return {
    imageId,
    names,
    ...(typeof config.created === "string" ? { created: config.created } : {}),
    platform: formatPlatform(config),
    ...(chainId === undefined ? {} : { chainId }),
    layerCount: config.rootfs.diff_ids.length,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
  };
}

/** An image whose layers are gone is listed all the same, so that it can be removed or loaded again. */
function sizeOf(context: StoreContext, chainId: ChainId): number | undefined {
  return attempt(() => recordsOf(context, chainId).reduce((sum, record) => sum + record.sizeBytes, 0));
}

function byAge(a: ImageSummary, b: ImageSummary): number {
  const [older, newer] = [a.created ?? "", b.created ?? ""];
  return newer < older ? -1 : newer > older ? 1 : a.imageId < b.imageId ? -1 : 1;
}

/** The one of an image's names that a reference spells; `undefined` when it is an id. */
function namedBy(names: readonly string[], ref: string): string | undefined {
  const name = attempt(() => formatImageName(parseImageName(ref)));
  return name !== undefined && names.includes(name) ? name : undefined;
}

function stillNamed(imageId: ImageId, names: readonly string[]): StrataError<"IN_USE"> {
  return new StrataError(
    "IN_USE",
    `Cannot remove image ${imageId}: it has several names (${names.join(", ")}); remove those first`,
    { kind: "image", name: imageId, usedBy: names },
  );
}
