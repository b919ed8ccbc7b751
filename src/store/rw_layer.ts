// SPDX-License-Identifier: Apache-2.0
/**
 * Handles of writable layers: Docker's `layer.RWLayer` (moby, layer/mounted_layer.go). What it changes is told against its
 * init layer, where it has one, so that what was put there when it was made is no change.
 *
 * @module
 */
import type { Change } from "../changeset/change.ts";
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { CacheId } from "../core/ids.ts";
import type { MountName, MountRecord } from "../metadata/mounts.ts";
import { applyDiff, type ApplyDiffOptions } from "./apply_diff.ts";
import { changes, type CompareOptions, diff, diffSize } from "./changes.ts";
import type { StoreContext } from "./context.ts";
import { type LayerView, type TarStreamOptions, viewOf } from "./layer.ts";
import { type MountOptions, mountTarget, type UnmountOptions, unmountTarget } from "./mount.ts";

/** A writable layer on a stack of layers. Each call that gives one gives a new handle. */
export class RWLayer {
  readonly #context: StoreContext;
  readonly #record: MountRecord;

  /** @ignore */
  constructor(context: StoreContext, record: MountRecord) {
    this.#context = context;
    this.#record = record;
  }

  /** Its name. */
  get name(): MountName {
    return this.#record.name;
  }

  /** The stack below; `undefined` when nothing is. */
  get parentChainId(): ChainId | undefined {
    return this.#record.parent;
  }

  /** Name of its directory inside the driver. */
  get mountId(): CacheId {
    return this.#record.mountId;
  }

  /** When it was made here, ISO 8601; unknown for those that Docker made. */
  get created(): string | undefined {
    return this.#record.created;
  }

  /**
   * A view of the layer below; `undefined` when nothing is.
   * @throws {StrataError} `CORRUPT` when its record is damaged, `NOT_FOUND` when it is gone
   */
  parent(): LayerView | undefined {
    return viewOf(this.#context, this.#record.parent);
  }

  /**
   * Mounts it and gives the path of its tree. Counted: each call is to be matched by one {@link RWLayer.unmount}.
   * @throws {StrataError} `NOT_FOUND` when it was removed, `NOT_PERMITTED`, `NOT_SUPPORTED`, `LOCKED`
   */
  async mount(options: MountOptions = {}): Promise<string> {
    return await mountTarget(this.#context, { kind: "writable", record: this.#current() }, options);
  }

  /**
   * Gives up a mount; the last one unmounts.
   * @returns how many are left
   * @throws {StrataError} `NOT_FOUND` when it is not mounted, or was removed; `LOCKED`
   */
  async unmount(options: UnmountOptions = {}): Promise<number> {
    return await unmountTarget(this.#context, { kind: "writable", record: this.#current() }, options);
  }

  /**
   * What it changes, sorted bytewise.
   * @throws {StrataError} `NOT_FOUND` when it was removed, `ABORTED`
   */
  async changes(options: CompareOptions = {}): Promise<Change[]> {
    return await changes(this.#context, { kind: "writable", record: this.#current() }, options);
  }

  /**
   * Bytes of the files that it adds or changes.
   * @throws {StrataError} `NOT_FOUND` when it was removed, `ABORTED`
   */
  async sizeBytes(options: CompareOptions = {}): Promise<number> {
    return await diffSize(this.#context, { kind: "writable", record: this.#current() }, options);
  }

  /**
   * What it changes as a layer's tar: the same bytes for the same trees.
   * @throws {StrataError} `NOT_FOUND` when it was removed; on the stream, `ABORTED`
   */
  tarStream(options: TarStreamOptions = {}): ReadableStream<Uint8Array> {
    return diff(this.#context, { kind: "writable", record: this.#current() }, options);
  }

  /**
   * Applies a layer's tar to it, and gives the bytes it brought. A bad archive changes nothing.
   * @throws {StrataError} `NOT_FOUND` when it was removed, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `ABORTED`
   */
  async applyDiff(stream: ReadableStream<Uint8Array>, options: ApplyDiffOptions = {}): Promise<number> {
    return await applyDiff(this.#context, () => this.#current(), { ...options, stream });
  }

  /**
   * What the driver tells of it, such as `UpperDir`, and its name as `ID`.
   * @throws {StrataError} `NOT_FOUND` when it was removed
   */
  metadata(): Readonly<Record<string, string>> {
    const { name, mountId } = this.#current();
    const facts = this.#context.driver.metadata(mountId);
    return { ...facts, ID: facts["ID"] || name };
  }

  /** Its record now: the name may stand for another one since. */
  #current(): MountRecord {
    const { name, mountId } = this.#record;
    const record = this.#context.mounts.read(name);
    if (record.mountId === mountId) return record;
    throw new StrataError(
      "NOT_FOUND",
      `Cannot use writable layer "${name}": it was removed, and the name stands for another one now; get that one`,
      { kind: "writable layer", ref: name },
    );
  }
}
