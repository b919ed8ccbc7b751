// SPDX-License-Identifier: Apache-2.0
/**
 * A diff driver out of any proto driver: mounts both layers and compares their trees whole.
 *
 * Files of equal metadata are compared by content, so that no clock decides what has changed. Docker's naive driver goes
 * by size and time, and therefore sleeps until the next full second after each diff, lest a later write in the same second
 * be missed; here there is nothing to wait for, and a program that puts a file's old time back hides nothing.
 *
 * Nothing here leaves the caller's thread. The layer store calls these methods in threads of its own.
 *
 * @module
 */
import type { Change } from "../../changeset/change.ts";
import { compareTrees } from "../../changeset/compare.ts";
import { diffSizeOf } from "../../changeset/diff_size.ts";
import { packChanges } from "../../changeset/pack.ts";
import type { Timespec } from "../../core/file_stat.ts";
import type { CacheId } from "../../core/ids.ts";
import { streamOf } from "../../stream/pipe.ts";
import { applyTo } from "./apply_diff.ts";
import type { ApplyOptions, Diff, DiffDriver, DiffOptions } from "../interfaces/diff_driver.ts";
import { LayerTrees, type LayerView, type MountingDriver } from "./layer_trees.ts";
import type { ProtoDriver } from "../interfaces/proto_driver.ts";

/** What a proto driver is used by. */
export type DiffableDriver = MountingDriver & Pick<ProtoDriver, "capabilities">;

/** Before every change, so that contents decide. */
const BEGINNING: Timespec = { sec: 0, nsec: 0 };

/** Compares and changes layers through the paths that `get` gives. */
export function naiveDiffDriver(proto: DiffableDriver): DiffDriver {
  return new NaiveDiffDriver(proto);
}

class NaiveDiffDriver implements DiffDriver {
  readonly #proto: DiffableDriver;
  readonly #trees: LayerTrees;

  constructor(proto: DiffableDriver) {
    this.#proto = proto;
    this.#trees = new LayerTrees(proto);
  }

  async changes(id: CacheId, parent: CacheId | undefined): Promise<Change[]> {
    return await this.#compared({ id, parent }, ({ changes }) => changes);
  }

  diff(id: CacheId, parent: CacheId | undefined, options: DiffOptions = {}): ReadableStream<Uint8Array> {
    return streamOf(() => this.#packed({ id, parent, ...options }));
  }

  async diffSize(id: CacheId, parent: CacheId | undefined): Promise<number> {
    return await this.#compared({ id, parent }, diffSizeOf);
  }

  async applyDiff(
    id: CacheId,
    _parent: CacheId | undefined,
    diff: Diff,
    { mountLabel, signal }: ApplyOptions = {},
  ): Promise<number> {
    const { spec: { home }, capabilities: { ownership } } = this.#proto;
    await using view = await this.#trees.open(id, { access: "writable", mountLabel });
    return await applyTo(view.root, { diff, home, ownership, idMappings: view.idMappings, signal });
  }

  async *#packed({ signal, onSkip, ...layers }: Compared & DiffOptions): AsyncGenerator<Uint8Array> {
    await using now = await this.#open(layers, layers.id);
    const changes = await this.#changesOf(now, layers);
    yield* packChanges({
      changes,
      now,
      ...(signal === undefined ? {} : { signal }),
      ...(onSkip === undefined ? {} : { onSkip }),
    });
  }

  async #compared<T>(layers: Compared, use: (compared: { changes: Change[]; now: LayerView }) => T): Promise<T> {
    await using now = await this.#open(layers, layers.id);
    return use({ changes: await this.#changesOf(now, layers), now });
  }

  async #changesOf(now: LayerView, layers: Compared): Promise<Change[]> {
    if (layers.parent === undefined) return compareTrees({ now, before: undefined });
    await using before = await this.#open(layers, layers.parent);
    return compareTrees({ now, before, unchangedBefore: BEGINNING });
  }

  #open({ mountLabel }: Compared, id: CacheId): Promise<LayerView> {
    return this.#trees.open(id, { access: "read-only", mountLabel });
  }
}

interface Compared {
  readonly id: CacheId;
  readonly parent: CacheId | undefined;
  readonly mountLabel?: string;
}
