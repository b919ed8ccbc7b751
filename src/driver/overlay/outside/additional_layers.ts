// SPDX-License-Identifier: Apache-2.0
/**
 * Layers of additional layer stores as layers of the overlay driver: stand-ins, with a note of what they came from, so that
 * the store learns when they are gone. The note's name is that of containers/storage.
 *
 * @module
 */
import type { Digest } from "../../../core/digest.ts";
import type { CacheId } from "../../../core/ids.ts";
import { writeFileAtomic } from "../../../host/durable.ts";
import { readText } from "../../../host/files.ts";
import { openRegularStream } from "../../../host/streams.ts";
import { chunksOf, streamOf } from "../../../stream/pipe.ts";
import type { AdditionalLayer, AdditionalLayerDriver } from "../../interfaces/additional_layer_driver.ts";
import type { OverlayHome } from "../home.ts";
import { announceRelease, announceUse, findAdditionalLayer } from "./layer_stores.ts";
import type { StandIns } from "./stand_ins.ts";

const NOTE_MODE = 0o600;

/** The additional layers of one home. */
export class AdditionalLayers implements AdditionalLayerDriver {
  readonly #home: OverlayHome;
  readonly #standIns: StandIns;

  constructor(home: OverlayHome, standIns: StandIns) {
    this.#home = home;
    this.#standIns = standIns;
  }

  async lookupAdditionalLayer(tocDigest: Digest, ref: string): Promise<AdditionalLayer | undefined> {
    const { additionalLayerStores = [] } = this.#home.options;
    const dir = await findAdditionalLayer(additionalLayerStores, { tocDigest, ref });
    return dir === undefined ? undefined : await this.#use(dir);
  }

  async lookupAdditionalLayerById(id: CacheId): Promise<AdditionalLayer | undefined> {
    const dir = additionalLayerOf(this.#home.locate(id).dir);
    return dir === undefined ? undefined : await this.#use(dir);
  }

  async #use(dir: string): Promise<AdditionalLayer> {
    await announceUse(dir);
    return new UsedLayer(dir, this.#standIns);
  }
}

/** The directory of the layer in an additional store that a layer was made of; `undefined` for others. */
export function additionalLayerOf(dir: string): string | undefined {
  return readText(notePath(dir));
}

/** Tells the store of what a layer was made of that the layer is gone. */
export async function releaseAdditional(additional: string | undefined): Promise<void> {
  if (additional !== undefined) await announceRelease(additional);
}

/** A layer that this process uses until it is released. */
class UsedLayer implements AdditionalLayer {
  readonly #dir: string;
  readonly #standIns: StandIns;
  #state: "used" | "released" = "used";

  constructor(dir: string, standIns: StandIns) {
    this.#dir = dir;
    this.#standIns = standIns;
  }

  /** The layer's own use is announced, too, since it outlives this process's. */
  async createAs(id: CacheId, parent: CacheId | undefined): Promise<void> {
    await announceUse(this.#dir);
    try {
      this.#standIns.make(id, parent, {
        outside: { dir: `${this.#dir}/diff` },
        whenStaged: (staged) => {
          writeFileAtomic(notePath(staged), this.#dir, { mode: NOTE_MODE, durability: "none" });
        },
      });
    } catch (error) {
      await announceRelease(this.#dir);
      throw error;
    }
  }

  info(): ReadableStream<Uint8Array> {
    return streamOf(() => contentOf(`${this.#dir}/info`));
  }

  blob(): ReadableStream<Uint8Array> {
    return streamOf(() => contentOf(`${this.#dir}/blob`));
  }

  async release(): Promise<void> {
    if (this.#state === "released") return;
    this.#state = "released";
    await announceRelease(this.#dir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

async function* contentOf(path: string): AsyncGenerator<Uint8Array> {
  const { stream } = await openRegularStream(path);
  yield* chunksOf(stream);
}

function notePath(dir: string): string {
  return `${dir}/additionallayer`;
}
