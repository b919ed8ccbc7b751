// SPDX-License-Identifier: Apache-2.0
/**
 * What an archive asked for and its tree does not have: told to the caller, never only logged.
 *
 * @module
 */
import { DROPPED_LISTED_MAX } from "../core/limits.ts";
import type { DroppedAttribute } from "./change.ts";

/** Lists the first drops and counts all. */
export class DropReport {
  readonly #listed: DroppedAttribute[] = [];
  #count = 0;

  /** The first ones. */
  get listed(): readonly DroppedAttribute[] {
    return this.#listed;
  }

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  /** Takes one more. */
  add(dropped: DroppedAttribute): void {
    this.#count++;
    if (this.#listed.length < DROPPED_LISTED_MAX) this.#listed.push(dropped);
  }
}
