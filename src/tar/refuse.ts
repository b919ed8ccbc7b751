// SPDX-License-Identifier: Apache-2.0
/**
 * How the reader says no: with the byte at which the archive is wrong, and the member's name once it is known.
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import type { Limits } from "../core/limits.ts";

/** A place in the archive. */
export interface Place {
  /** Bytes from the start of the archive. */
  readonly offset: number;
  readonly entry?: ByteString;
}

/** Bytes of a name that a message shows: enough to find the member, whatever the archive made of it. */
const NAME_SHOWN_MAX = 200;

/**
 * Refuses the archive.
 * @throws {StrataError} `INVALID_ARCHIVE`, always
 */
export function refuse(why: string, place: Place): never {
  const entry = shown(place.entry);
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot read tar: ${why} (byte ${place.offset}${entry === undefined ? "" : `, entry "${entry}"`})`,
    { stage: "tar", offset: place.offset, ...(entry === undefined ? {} : { entry }) },
    { hint: "Fetch the archive again; if it stays so, have it rebuilt" },
  );
}

/**
 * Refuses an archive that asks for more than it may.
 * @throws {StrataError} `LIMIT_EXCEEDED`, always
 */
export function refuseBeyond(limit: keyof Limits, place: Place & { readonly limits: Limits }): never {
  const entry = shown(place.entry);
  const max = place.limits[limit];
  throw new StrataError(
    "LIMIT_EXCEEDED",
    `Cannot read tar: ${limit} (${max}) is passed (byte ${place.offset}${
      entry === undefined ? "" : `, entry "${entry}"`
    }); raise the limit if the archive can be trusted`,
    { limit, max, ...(entry === undefined ? {} : { entry }) },
  );
}

function shown(name: ByteString | undefined): string | undefined {
  if (name === undefined) return undefined;
  const text = display(name);
  return text.length > NAME_SHOWN_MAX ? `${text.slice(0, NAME_SHOWN_MAX)}…` : text;
}
