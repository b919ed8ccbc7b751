// SPDX-License-Identifier: Apache-2.0
/**
 * Changing what a record says of itself. One file is replaced, whatever there is beside it; and no other record changes,
 * for a name that is another's is refused, not taken from it.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { CatalogRecord, JsonValue } from "../../metadata/catalog/catalog_record.ts";
import type { NameChange } from "../../metadata/catalog/catalog_name.ts";
import { type StoreContext, underLock } from "../context.ts";
import { findOwnRecord } from "./find_record.ts";

/** A change of one flag. */
export interface FlagChange {
  readonly key: string;
  /** Absent: the flag goes. */
  readonly value?: JsonValue;
}

/**
 * Changes a record's names.
 * @throws {StrataError} `NOT_FOUND`; `CONFLICT` when another record has a name; `INVALID_ARGUMENT`
 */
export async function changeNames(context: StoreContext, ref: string, change: NameChange): Promise<CatalogRecord> {
  const { id } = findOwnRecord(context, ref);
  return await underLock(context, (lock) => context.catalog.changeNames(lock, id, change));
}

/**
 * Replaces a record's text.
 * @throws {StrataError} `NOT_FOUND`, `LIMIT_EXCEEDED`
 */
export async function setMetadata(context: StoreContext, ref: string, metadata: string): Promise<CatalogRecord> {
  const { id } = findOwnRecord(context, ref);
  return await underLock(context, (lock) => context.catalog.update(lock, id, () => ({ metadata })));
}

/**
 * Sets a flag, or clears it. Clearing one that is not set is no error.
 * @throws {StrataError} `NOT_FOUND`, `INVALID_ARGUMENT` for an empty key, `LIMIT_EXCEEDED`
 */
export async function changeFlag(
  context: StoreContext,
  ref: string,
  { key, value }: FlagChange,
): Promise<CatalogRecord> {
  if (key === "") {
    throw new StrataError("INVALID_ARGUMENT", "Cannot use a flag without a name: give it one", { argument: "key" });
  }
  const { id } = findOwnRecord(context, ref);
  return await underLock(context, (lock) =>
    context.catalog.update(lock, id, ({ flags: { [key]: _, ...others } }) => {
      return { flags: value === undefined ? others : { ...others, [key]: value } };
    }));
}
