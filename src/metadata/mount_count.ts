// SPDX-License-Identifier: Apache-2.0
/**
 * How often one layer is mounted, and how many of these mounts each catalog record has. Pure.
 *
 * @module
 */
import type { RecordId } from "../core/ids.ts";

/** The mounts of one layer. */
export interface MountCount {
  /** All of them, those that nobody in particular has included. */
  readonly count: number;
  /** How many of them each record has. */
  readonly holders: ReadonlyMap<RecordId, number>;
}

/** Whose mounts change. */
export interface MountHolder {
  /** Absent: nobody's in particular. */
  readonly holder?: RecordId | undefined;
}

/** What is given back. */
export interface GivenBack extends MountHolder {
  /** `one` (the default), or `all`: all that there are, and for a holder all that he has. */
  readonly release?: "one" | "all" | undefined;
}

/** Not mounted. */
export const NOTHING: MountCount = { count: 0, holders: new Map() };

/** One mount more. */
export function added(before: MountCount, { holder }: MountHolder): MountCount {
  return changed(before, { holder, by: 1 });
}

/**
 * A count without what is given back; `undefined` when there is no such mount. Who holds none gives back what nobody in
 * particular has; who is nobody in particular, whatever there is.
 */
export function without(before: MountCount, { holder, release = "one" }: GivenBack): MountCount | undefined {
  if (before.count === 0) return undefined;
  if (holder !== undefined) {
    const held = before.holders.get(holder) ?? 0;
    if (held > 0) return changed(before, { holder, by: release === "all" ? -held : -1 });
    const free = freeOf(before);
    return free === 0 ? undefined : changed(before, { by: release === "all" ? -free : -1 });
  }
  if (release === "all") return NOTHING;
  const [first] = before.holders.keys();
  return changed(before, { holder: freeOf(before) > 0 ? undefined : first, by: -1 });
}

function changed({ count, holders }: MountCount, { holder, by }: MountHolder & { readonly by: number }): MountCount {
  const after = new Map(holders);
  if (holder !== undefined) {
    const held = (after.get(holder) ?? 0) + by;
    if (held > 0) after.set(holder, held);
    else after.delete(holder);
  }
  return { count: count + by, holders: after };
}

/** Mounts that nobody in particular has. */
function freeOf({ count, holders }: MountCount): number {
  return [...holders.values()].reduce((free, held) => free - held, count);
}
