// SPDX-License-Identifier: Apache-2.0
/**
 * Random and chosen identifiers. Random ones are never derived from content, so a failed attempt cannot collide
 * with a later one.
 *
 * @module
 */

/** @internal */
declare const brand: unique symbol;
/** @internal */
type Brand<B extends string> = string & { readonly [brand]: B };

/** Name of a layer's directory inside the driver: 64 hex digits (25 characters from BuildKit), or one with `-init`. */
export type CacheId = Brand<"CacheId">;
/** Id of a catalog record: 64 hex digits when random, else the caller's. */
export type RecordId = Brand<"RecordId">;

/** The second form is BuildKit's: dockerd keeps its ids as cache ids of the layers that it builds. */
const CACHE_ID = /^(?:[0-9a-f]{64}|[0-9a-z]{25})(-init)?$/;
const RECORD_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** What containers/storage and this package's reading of it keep beside layers, in the places where layers' ids are names. */
const TAKEN_OUTSIDE: ReadonlySet<string> = new Set(["l", "staging", "tempdirs", "tmp", "dir", "backingFsBlockDev"]);
/** Docker refuses ids whose first 12 digits could be read as a number, since they serve as host names. */
const LOOKS_NUMERIC = /^[0-9]{12}/;

/** 32 random bytes as 64 hex digits, of which the first 12 are not all decimal. Docker's rule for ids. */
export function randomId(): string {
  for (;;) {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const id = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
    if (!LOOKS_NUMERIC.test(id)) return id;
  }
}

/** A fresh name for a layer's directory. */
export function randomCacheId(): CacheId {
  return randomId() as CacheId;
}

/**
 * The text as a driver directory name. The check is what keeps `..` and `/` out of paths.
 * @throws {SyntaxError} when it is not 64 hex digits or 25 characters of BuildKit's, with or without `-init`
 */
export function parseCacheId(text: string): CacheId {
  if (!CACHE_ID.test(text)) {
    throw new SyntaxError(
      `Cannot parse cache id "${text.slice(0, 100)}": expected 64 lower-case hex digits, or BuildKit's 25 characters`,
    );
  }
  return text as CacheId;
}

/** Whether a text is the name of a layer's directory. */
export function isCacheId(text: string): text is CacheId {
  return CACHE_ID.test(text);
}

/**
 * The text as the id of a catalog record.
 * @throws {SyntaxError} when it is not a letter or digit followed by letters, digits, `_`, `.` and `-`, 128 at most
 */
export function parseRecordId(text: string): RecordId {
  if (!RECORD_ID.test(text)) {
    throw new SyntaxError(
      `Cannot use id "${
        text.slice(0, 140)
      }": expected a letter or digit, then letters, digits, "_", "." or "-", 128 at most`,
    );
  }
  return text as RecordId;
}

/** Whether a text is the id of a catalog record. */
export function isRecordId(text: string): text is RecordId {
  return RECORD_ID.test(text);
}

/** A layer's id in a store of containers/storage: it names the record and the directory. */
export interface OutsideId {
  readonly recordId: RecordId;
  readonly cacheId: CacheId;
}

/**
 * The text as the id of a layer in a store of containers/storage, which takes any text: only what is one component of a
 * path, and no other thing's name there, is ever used as a path.
 * @throws {SyntaxError} for anything else
 */
export function parseOutsideId(text: string): OutsideId {
  const recordId = parseRecordId(text);
  if (!TAKEN_OUTSIDE.has(text) && !/\.(?:json|lock|gz)$/.test(text)) {
    return { recordId, cacheId: text as string as CacheId };
  }
  throw new SyntaxError(`Cannot use id "${text}": other things than layers have this name`);
}
