// SPDX-License-Identifier: Apache-2.0
/**
 * The images of a store, in Docker's own files.
 *
 * @module
 */
import type { ImageId } from "../metadata/image_config.ts";
import type { StoreContext } from "../store/context.ts";
import { LayerStore } from "../store/layer_store.ts";
import { type ImageSummaries, listImages, type RemovedImage, removeImage, tagImage } from "./images.ts";
import { type LoadedImage, loadImage, type LoadOptions } from "./load.ts";
import type { ImageSource } from "./open_source.ts";

/** Images over a store's layers. It opens nothing of its own and needs no disposal. */
export class ImageStore {
  readonly #context: StoreContext;

  /** The images of an open store. */
  constructor(store: LayerStore) {
    this.#context = LayerStore.contextOf(store);
  }

  /**
   * Loads the images of a docker-archive, an OCI archive or an OCI layout. Layers unpack side by side; those that are here
   * already are not read. Every blob's digest and every DiffID is checked.
   * @throws {StrataError} `NOT_FOUND`, `INVALID_ARCHIVE`, `DIGEST_MISMATCH`, `LIMIT_EXCEEDED`, `NOT_SUPPORTED`,
   *   `INVALID_ARGUMENT`, `MAX_DEPTH`, `NO_SPACE`, `LOCKED`, `ABORTED`
   */
  load(source: ImageSource, options: LoadOptions = {}): Promise<LoadedImage[]> {
    return loadImage(this.#context, source, options);
  }

  /** All images, and what is wrong with some. */
  list(): ImageSummaries {
    return listImages(this.#context);
  }

  /**
   * Gives an image a further name.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `INVALID_ARGUMENT`
   */
  tag(ref: string, name: string): Promise<ImageId> {
    return tagImage(this.#context, ref, name);
  }

  /**
   * Removes a name, and with its last name the image and the layers that nothing needs after it.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; `IN_USE` by id when it has several names
   */
  remove(ref: string): Promise<RemovedImage> {
    return removeImage(this.#context, ref);
  }
}
