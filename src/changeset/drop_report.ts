// SPDX-License-Identifier: Apache-2.0
/**
 * What an archive asked for and its tree does not have: told to the caller, never only logged.
 *
 * @module
 */
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import { DROPPED_LISTED_MAX, DROPPED_TEXT_MAX } from "../core/limits.ts";

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
  add({ entry, attribute, reason }: DroppedAttribute): void {
    this.#count++;
    if (this.#listed.length >= DROPPED_LISTED_MAX) return;
    this.#listed.push({ entry: cut(entry), attribute: cut(attribute), reason });
  }
}

/** Names can be as long as an archive likes, and the list is kept with the layer's record. */
function cut(text: string): string {
  return text.length <= DROPPED_TEXT_MAX ? text : `${text.slice(0, DROPPED_TEXT_MAX)}…`;
}
