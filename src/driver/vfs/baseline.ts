// SPDX-License-Identifier: Apache-2.0
/**
 * The instant at which a writable layer was a copy of its parent: files that nobody touched since need not be read to
 * know that they are unchanged.
 *
 * The instant is taken from the file system's own clock, the one that stamps the files. It is written down, since a
 * restored backup changes the times of all files, the ones of this package among them: then all files are read.
 *
 * @module
 */
import * as v from "valibot";
import type { Timespec } from "../../core/file_stat.ts";
import { writeFileAtomic } from "../../host/durable.ts";
import { readText, removeTreeAt, statPath } from "../../host/files.ts";

/** What is known of the copy that a writable layer began as. */
export interface Baseline {
  /** The layer that was copied. */
  readonly parent: string;
  readonly copiedAt: Timespec;
}

const BASELINE = v.object({
  parent: v.string(),
  copiedAt: v.object({ sec: v.pipe(v.number(), v.safeInteger()), nsec: v.pipe(v.number(), v.safeInteger()) }),
});
const MODE = 0o600;

/** Notes at `path` that a copy of `parent` has just been completed. Losing the note costs time only, so it is not synced. */
export function writeBaseline(path: string, parent: string): void {
  const write = (copiedAt: Timespec) =>
    writeFileAtomic(path, JSON.stringify({ parent, copiedAt }), { mode: MODE, durability: "none" });
  write({ sec: 0, nsec: 0 });
  const copiedAt = statPath(path)?.ctime;
  if (copiedAt !== undefined) write(copiedAt);
}

/** What was noted; `undefined` when nothing was, or nothing that can be trusted. */
export function readBaseline(path: string): Baseline | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    const result = v.safeParse(BASELINE, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** Forgets a note. */
export function removeBaseline(path: string): void {
  removeTreeAt(path);
}
