// SPDX-License-Identifier: Apache-2.0
/**
 * Handles of writable layers.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import type { MountName, MountRecord } from "../metadata/mounts.ts";

/** A writable layer on a stack of layers. Each call that gives one gives a new handle. */
export class RWLayer {
  readonly #record: MountRecord;

  /** @ignore */
  constructor(record: MountRecord) {
    this.#record = record;
  }

  /** Its name. */
  get name(): MountName {
    return this.#record.name;
  }

  /** The stack below; `undefined` when nothing is. */
  get parent(): ChainId | undefined {
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
}
