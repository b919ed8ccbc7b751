// SPDX-License-Identifier: Apache-2.0
/**
 * The bytes of records' data items, `catalog/data/<record id>/<hex of the digest>`.
 *
 * The record lists its items by key, size and digest; so the one commit point of a change is the record's file (I3), and a
 * key may be any text, for none becomes a name here. Files that no record lists are what crashes leave; `gc` removes them.
 *
 * @module
 */
import { type Digest, digestHex } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { parseRecordId, type RecordId } from "../../core/ids.ts";
import { BIG_DATA_KEY_CHARS_MAX } from "../../core/limits.ts";
import { type Durability, syncDir } from "../../host/durable.ts";
import { fromOsError } from "../../host/errno.ts";
import { listNames, removeTreeAt, renamePath } from "../../host/files.ts";
import type { StoreLayout } from "../layout.ts";
import { attempt } from "../record_file.ts";
import { ensureRecordDir } from "../staged_files.ts";
import type { WriteLock } from "../write_lock.ts";
import type { BigDataItem } from "./catalog_record.ts";

/** A data item whose bytes lie in a file beside the store, and are durable as far as they are to be. */
export interface StagedBigData {
  readonly path: string;
  readonly digest: Digest;
}

/**
 * Checks what a data item is to be called: any text but none.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function checkBigDataKey(key: string): void {
  const problem = key === ""
    ? "it is empty"
    : [...key].length > BIG_DATA_KEY_CHARS_MAX
    ? `it has more than ${BIG_DATA_KEY_CHARS_MAX} characters`
    : undefined;
  if (problem === undefined) return;
  const shown = JSON.stringify(key.slice(0, 40));
  throw new StrataError("INVALID_ARGUMENT", `Cannot use ${shown} as the key of a data item: ${problem}`, {
    argument: "key",
  });
}

/** The files of one store's data items. */
export class BigDataFiles {
  readonly #layout: StoreLayout;
  readonly #durability: Durability;

  constructor(layout: StoreLayout, { durability = "full" }: { readonly durability?: Durability } = {}) {
    this.#layout = layout;
    this.#durability = durability;
  }

  /** Where an item's bytes are. */
  path(id: RecordId, digest: Digest): string {
    return `${this.#dir(id)}/${digestHex(digest)}`;
  }

  /** Moves bytes to their place, from where the record may list them. */
  publish(lock: WriteLock, id: RecordId, { path, digest }: StagedBigData): void {
    lock.assertCovers(this.#layout);
    try {
      ensureRecordDir(this.#dir(id), 0o700, this.#durability);
      renamePath(path, this.path(id, digest), { replace: "allow" });
      if (this.#durability === "full") syncDir(this.#dir(id));
    } catch (error) {
      throw fromOsError(error, `keep a data item of record "${id}"`);
    }
  }

  /**
   * Removes what a record does not list; with an empty list, all.
   * @returns the files that went
   */
  removeUnlisted(lock: WriteLock, id: RecordId, listed: readonly BigDataItem[]): string[] {
    lock.assertCovers(this.#layout);
    const removed = this.unlisted(id, listed);
    try {
      for (const path of removed) removeTreeAt(path);
      if (listed.length === 0) removeTreeAt(this.#dir(id));
    } catch (error) {
      throw fromOsError(error, `remove data items of record "${id}"`);
    }
    return removed;
  }

  /** The files of a record that it does not list. */
  unlisted(id: RecordId, listed: readonly BigDataItem[]): string[] {
    const names = new Set(listed.map(({ digest }) => digestHex(digest)));
    return this.#namesIn(this.#dir(id)).filter((name) => !names.has(name)).map((name) => `${this.#dir(id)}/${name}`);
  }

  /** The records that have files here, be they there or not. */
  ids(): RecordId[] {
    return this.#namesIn(this.#layout.bigDataDir).flatMap((name) => attempt(() => parseRecordId(name)) ?? []);
  }

  /** What lies beside the records' directories and is none. */
  strays(): string[] {
    const { bigDataDir } = this.#layout;
    return this.#namesIn(bigDataDir).filter((name) => attempt(() => parseRecordId(name)) === undefined)
      .map((name) => `${bigDataDir}/${name}`);
  }

  #dir(id: RecordId): string {
    return `${this.#layout.bigDataDir}/${id}`;
  }

  #namesIn(dir: string): string[] {
    try {
      return listNames(dir);
    } catch (error) {
      throw fromOsError(error, "list the records' data items");
    }
  }
}
