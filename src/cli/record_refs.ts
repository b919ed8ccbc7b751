// SPDX-License-Identifier: Apache-2.0
/**
 * Words that must mean a record, since what is asked for belongs to records: names, text, flags, data items.
 *
 * @module
 */
import type { CatalogEntry, CreateRecordOptions, LayerStore, RecordId } from "../../mod.ts";
import type { ArgumentSpec } from "./command.ts";
import { loadStrata } from "./strata.ts";

/** The record that is meant. */
export const RECORD_ARGUMENT: ArgumentSpec = {
  name: "REF",
  summary: "a layer or a writable layer that has a record",
  count: "one",
};

/**
 * The one record that a word means.
 * @throws {StrataError} `NOT_FOUND`, also for a layer without a record; `AMBIGUOUS` when several records stand for it
 */
export async function recordOf(store: LayerStore, ref: string): Promise<CatalogEntry> {
  const { StrataError, hasCode } = await loadStrata();
  try {
    return store.catalog.get(ref);
  } catch (error) {
    if (!hasCode(error, "NOT_FOUND") || !isThere(store, ref)) throw error;
    const message =
      `Cannot use "${ref}" here: it has no record, as layers have that "strata register" and "strata create" ` +
      "make";
    throw new StrataError("NOT_FOUND", message, { kind: "record", ref }, { cause: error });
  }
}

/**
 * Refuses ids and names that are taken, and those by which one record would hide another: an id comes before names.
 * @throws {StrataError} `CONFLICT`, `INVALID_ARGUMENT`
 */
export async function requireDistinct(
  store: LayerStore,
  { id, names = [] }: Pick<CreateRecordOptions, "id" | "names">,
): Promise<void> {
  store.catalog.requireFree(id === undefined ? { names } : { id, names: [id, ...names] });
  await requireNoIds(store, names);
}

/**
 * Refuses names that are other records' ids: nobody would find a layer by them.
 * @throws {StrataError} `CONFLICT`
 */
export async function requireNoIds(store: LayerStore, names: readonly string[]): Promise<void> {
  const { StrataError, hasCode } = await loadStrata();
  for (const name of names) {
    try {
      store.catalog.requireFree({ id: name });
    } catch (cause) {
      // What can be no id is none.
      if (!hasCode(cause, "CONFLICT")) continue;
      const message = `Cannot use name "${name}": it is the id of a record, which it would mean; choose another`;
      throw new StrataError("CONFLICT", message, { kind: "name", name }, { cause });
    }
  }
}

/** A word that means one record means that one's files, where each record of a layer has its own. */
export function ownFilesOf(store: LayerStore, ref: string): { readonly record?: RecordId } {
  const [record, ...others] = store.resolve(ref).recordIds;
  return record === undefined || others.length > 0 ? {} : { record };
}

/** Without a reason why not: that there is no record is said already. */
function isThere(store: LayerStore, ref: string): boolean {
  try {
    store.resolve(ref);
    return true;
  } catch {
    return false;
  }
}
