// SPDX-License-Identifier: Apache-2.0
/**
 * The images: Docker's `imagedb` and their names.
 *
 *   imagedb/content/sha256/<hex>    the image config's bytes as they are; their digest is the image's id
 *   imagedb/metadata/sha256/<hex>/  Docker's notes on an image; removed with it, never written here
 *
 * I1 for images: the layers are published before the config, the config before a name; removal runs backwards.
 * A config is compared with its name whenever it is used (I2): a changed one is damaged, not another image.
 *
 * @module
 */
import { type ChainId, digestHex, digestOf } from "../core/digest.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import { JSON_BYTES_MAX } from "../core/limits.ts";
import { syncDir, writeFileAtomic } from "../host/durable.ts";
import { fromOsError } from "../host/errno.ts";
import { listNames, readBytes, removeTreeAt } from "../host/files.ts";
import { asStrataError, type Finding } from "./finding.ts";
import {
  chainIdOf,
  type ImageConfig,
  type ImageId,
  imageIdOf,
  parseImageConfig,
  parseImageId,
} from "./image_config.ts";
import { type ImageName, parseImageReference } from "./image_name.ts";
import type { StoreLayout } from "./layout.ts";
import { attempt, corruptFile, type ReadContext, typeAt } from "./record_file.ts";
import { ImageNames } from "./repositories.ts";
import { type Durability, ensureRecordDir } from "./staged_files.ts";
import type { WriteLock } from "./write_lock.ts";

/** An image as it is kept. */
export interface ImageRecord {
  readonly imageId: ImageId;
  readonly config: ImageConfig;
  /** The stack of its layers; absent for an image without layers. */
  readonly chainId?: ChainId;
  /** The config's document, to the byte. */
  readonly bytes: Uint8Array;
}

/** All images on disk at one moment. */
export interface ImageListing {
  /** In the order of the ids. */
  readonly images: readonly ImageRecord[];
  readonly findings: readonly Finding[];
}

/** What an image keeps alive. */
export interface ImageRoot {
  readonly imageId: ImageId;
  readonly chainId: ChainId;
}

const HEX_PREFIX = /^(?:sha256:)?([0-9a-f]{1,64})$/;

/** The images of one store. It caches nothing: other processes change the store at any time. */
export class ImageDb {
  readonly #layout: StoreLayout;
  readonly #durability: Durability;
  readonly #names: ImageNames;

  constructor(layout: StoreLayout, { durability = "full" }: { readonly durability?: Durability } = {}) {
    this.#layout = layout;
    this.#durability = durability;
    this.#names = new ImageNames(layout, { durability });
  }

  /**
   * Keeps an image; its layers must be published before.
   * @throws {StrataError} `INVALID_ARCHIVE` when the document is no image config
   */
  put(lock: WriteLock, configBytes: Uint8Array): ImageId {
    lock.assertCovers(this.#layout);
    requireConfig(configBytes);
    const imageId = imageIdOf(configBytes);
    try {
      ensureRecordDir(this.#layout.imageContentDir, 0o700, this.#durability);
      // Written also when it is there: a damaged one is replaced.
      writeFileAtomic(this.#layout.imageConfigPath(imageId), configBytes, {
        mode: 0o600,
        durability: this.#durability,
      });
      return imageId;
    } catch (error) {
      throw fromOsError(error, `keep image ${imageId}`);
    }
  }

  /** Whether a config of that name exists, sound or not. */
  has(imageId: ImageId): boolean {
    return typeAt(this.#layout.imageConfigPath(imageId)) !== undefined;
  }

  /**
   * One image.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` naming the file and the remedy
   */
  get(imageId: ImageId): ImageRecord {
    const path = this.#layout.imageConfigPath(imageId);
    const context = imageContext(imageId);
    const bytes = readConfigBytes(path, context);
    if (bytes === undefined) throw imageNotFound(imageId);
    const actual = digestOf(bytes);
    if (actual !== imageId) throw corruptFile(path, `does not match its name: its digest is ${actual}`, context);
    const config = configIn(bytes, { path, context });
    const chainId = chainIdOf(config);
    return { imageId, config, bytes, ...(chainId === undefined ? {} : { chainId }) };
  }

  /**
   * All images, the damaged ones as findings.
   * @throws {StrataError} only when the directory itself cannot be read
   */
  list(): ImageListing {
    const images: ImageRecord[] = [];
    const findings: Finding[] = [];
    for (const name of this.#files()) {
      const path = `${this.#layout.imageContentDir}/${name}`;
      const imageId = attempt(() => parseImageId(`sha256:${name}`));
      if (imageId === undefined) {
        findings.push(strayFile(name, path));
        continue;
      }
      try {
        images.push(this.get(imageId));
      } catch (error) {
        if (hasCode(error, "NOT_FOUND")) continue; // Removed since the directory was listed.
        const reason = asStrataError(error, `read image ${imageId}`);
        findings.push({ severity: "broken", kind: "image", subject: imageId, path, error: reason });
      }
    }
    return { images, findings };
  }

  /** What the images keep alive. Damaged images keep nothing; {@link list} tells of them. */
  roots(): ImageRoot[] {
    return this.list().images.flatMap(({ imageId, chainId }) => chainId === undefined ? [] : [{ imageId, chainId }]);
  }

  /**
   * Removes an image and its names, a damaged one as well; its layers stay.
   * @throws {StrataError} `NOT_FOUND`
   */
  remove(lock: WriteLock, imageId: ImageId): void {
    lock.assertCovers(this.#layout);
    if (!this.has(imageId)) throw imageNotFound(imageId);
    this.#names.untagAll(lock, imageId);
    try {
      removeTreeAt(this.#layout.imageConfigPath(imageId));
      if (this.#durability === "full") syncDir(this.#layout.imageContentDir);
      removeTreeAt(this.#layout.imageMetadataDir(imageId));
    } catch (error) {
      throw fromOsError(error, `remove image ${imageId}`);
    }
  }

  /**
   * What a user's word for an image means: its id, a name (`latest` when it has no tag), or a prefix of an id's hex
   * digits that fits one image. A name goes before a prefix, as in Docker.
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when the names cannot be read
   */
  resolve(ref: string): ImageId {
    const exact = attempt(() => parseImageId(ref.startsWith("sha256:") ? ref : `sha256:${ref}`));
    if (exact !== undefined && this.has(exact)) return exact;
    const reference = attempt(() => parseImageReference(ref));
    const named = reference === undefined ? undefined : this.#names.find(reference);
    return named ?? this.#byPrefix(ref);
  }

  /**
   * Gives an image a name, which another image may lose by it.
   * @returns the image that had the name
   * @throws {StrataError} `NOT_FOUND` when there is no such image; `CORRUPT` when the names cannot be read
   */
  tag(lock: WriteLock, name: ImageName, imageId: ImageId): ImageId | undefined {
    if (!this.has(imageId)) throw imageNotFound(imageId);
    return this.#names.tag(lock, name, imageId);
  }

  /**
   * Takes a name away; the image stays.
   * @returns the image that had it
   * @throws {StrataError} `NOT_FOUND` when none has it; `CORRUPT` when the names cannot be read
   */
  untag(lock: WriteLock, name: ImageName): ImageId {
    return this.#names.untag(lock, name);
  }

  /**
   * The names of an image, sorted.
   * @throws {StrataError} `CORRUPT` when the names cannot be read
   */
  namesOf(imageId: ImageId): string[] {
    return this.names().get(imageId) ?? [];
  }

  /**
   * The names of all images, sorted.
   * @throws {StrataError} `CORRUPT` when the names cannot be read
   */
  names(): Map<ImageId, string[]> {
    const names = new Map<ImageId, string[]>();
    for (const [name, imageId] of this.#names.all()) names.set(imageId, [...names.get(imageId) ?? [], name]);
    return names;
  }

  #byPrefix(ref: string): ImageId {
    const prefix = HEX_PREFIX.exec(ref)?.[1];
    const ids = prefix === undefined ? [] : this.#files().flatMap((name) => {
      return name.startsWith(prefix) ? attempt(() => parseImageId(`sha256:${name}`)) ?? [] : [];
    });
    const [imageId] = ids;
    if (imageId === undefined) throw imageNotFound(ref);
    if (ids.length > 1) throw ambiguous(ref, ids);
    return imageId;
  }

  /** Writes under way, or cut short by a crash, are not listed. */
  #files(): string[] {
    try {
      return listNames(this.#layout.imageContentDir).filter((name) => !name.startsWith("."));
    } catch (error) {
      throw fromOsError(error, "list the images");
    }
  }
}

function requireConfig(bytes: Uint8Array): void {
  try {
    parseImageConfig(bytes);
  } catch (cause) {
    throw new StrataError(
      "INVALID_ARCHIVE",
      `Cannot keep the image: its config is refused: ${messageOf(cause)}; build or save the image again`,
      { stage: "source" },
      { cause },
    );
  }
}

function readConfigBytes(path: string, context: ReadContext): Uint8Array | undefined {
  try {
    const bytes = readBytes(path, { max: JSON_BYTES_MAX });
    // Not the Buffer itself: its `slice` does not copy, which a caller of a Uint8Array does not expect.
    return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (hasCode(error, "LIMIT_EXCEEDED")) throw corruptFile(path, "is larger than any image config", context);
    throw fromOsError(error, context.action);
  }
}

function configIn(bytes: Uint8Array, { path, context }: { path: string; context: ReadContext }): ImageConfig {
  try {
    return parseImageConfig(bytes);
  } catch (cause) {
    throw corruptFile(path, `is no image config: ${messageOf(cause)}`, { ...context, cause });
  }
}

function imageContext(imageId: ImageId): ReadContext {
  return { action: `read image ${imageId}`, remedy: "load or pull the image again" };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function imageNotFound(ref: string): StrataError<"NOT_FOUND"> {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find image "${ref}": no image has this name or id; "strata images" lists what there is`,
    { kind: "image", ref },
  );
}

function ambiguous(ref: string, ids: readonly ImageId[]): StrataError<"AMBIGUOUS"> {
  const shown = ids.slice(0, 8).map((id) => digestHex(id).slice(0, 16)).join(", ");
  const more = ids.length > 8 ? `, and ${ids.length - 8} more` : "";
  return new StrataError(
    "AMBIGUOUS",
    `Cannot tell which image "${ref}" means: it fits ${shown}${more}; give more of it`,
    { ref, candidates: ids },
  );
}

function strayFile(name: string, path: string): Finding {
  const error = new StrataError(
    "CORRUPT",
    `Cannot read "${path}" as an image: it is not named by 64 hex digits; it is ignored, and may be removed by hand`,
    { path },
  );
  return { severity: "stray", kind: "image", subject: name, path, error };
}
