// SPDX-License-Identifier: Apache-2.0
/**
 * Under which ids a layer's own files are kept on disk, where that differs from what holds for the whole driver: beside the
 * layer's other files, so that it goes with it. Docker ignores the file.
 *
 * @module
 */
import * as v from "valibot";
import { StrataError } from "../../core/errors.ts";
import { checkIdMappings, type IdMappings } from "../../core/id_map.ts";
import { writeFileAtomic, type WriteOptions } from "../../host/durable.ts";
import { readText } from "../../host/files.ts";

/** What is known of one layer. */
export interface StoredIds {
  /** The maps under which its own files are kept. */
  readonly mappings: IdMappings;
  /**
   * `mapped`: layers below that are kept otherwise are mapped when it is mounted. `covered`: all that shows of them was
   * copied into the layer, so that they are mounted as they are.
   */
  readonly lowers: "mapped" | "covered";
  /** The maps to which its owners are being changed. Nobody can tell whose its files are as long as this is noted. */
  readonly changingTo?: IdMappings | undefined;
}

const NUMBER = v.pipe(v.number(), v.safeInteger());
const RANGES = v.array(v.object({ containerId: NUMBER, hostId: NUMBER, size: NUMBER }));
const MAPPINGS = v.object({ uids: RANGES, gids: RANGES });
const STORED_IDS = v.object({
  mappings: MAPPINGS,
  lowers: v.picklist(["mapped", "covered"]),
  changingTo: v.optional(MAPPINGS),
});
const MODE = 0o600;

/**
 * What is noted at `path`; `undefined` when nothing is: then the driver's own maps hold.
 * @throws {StrataError} `CORRUPT` for a note that cannot be read: to guess would give files away
 */
export function readStoredIds(path: string): StoredIds | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  try {
    const stored = v.parse(STORED_IDS, JSON.parse(text));
    checkIdMappings(stored.mappings);
    return stored;
  } catch (cause) {
    throw new StrataError("CORRUPT", `Cannot use "${path}": it is no note of id maps; remove the layer`, { path }, {
      cause,
    });
  }
}

/** Notes it, in place of what was noted before; on the device when this returns, if that is asked for. */
export function writeStoredIds(path: string, stored: StoredIds, options: Pick<WriteOptions, "durability">): void {
  writeFileAtomic(path, JSON.stringify(stored), { mode: MODE, ...options });
}
