// SPDX-License-Identifier: Apache-2.0
/**
 * Which record a word means: by its id, a name, a unique prefix of its id, or as the only one of a ChainID. The store's own
 * records come first, then those of the roots that are only read, in their order.
 *
 * @module
 */
import { hasCode, StrataError } from "../../core/errors.ts";
import type { CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
import type { StoreContext } from "../context.ts";
import type { ReadingContext } from "../reading.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";

/** A record, and where it lies. */
export interface FoundRecord {
  readonly record: CatalogRecord;
  /** Absent: in the store's own root. */
  readonly root?: ReadOnlyRoot;
}

/**
 * The record that a word means.
 * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when the very record is damaged
 */
export function findRecord(context: StoreContext, ref: string): FoundRecord {
  const own = recordIn(context, ref);
  if (own !== undefined) return { record: own };
  for (const root of context.readOnlyRoots) {
    const record = recordIn(root.reading, ref);
    if (record !== undefined) return { record, root: root.about(record.id) };
  }
  throw new StrataError(
    "NOT_FOUND",
    `Cannot find catalog record "${
      ref.slice(0, 200)
    }": none has this id or name, and no id begins so; "strata layers" lists them`,
    { kind: "record", ref },
  );
}

/**
 * The record that a word means, to be changed.
 * @throws {StrataError} as {@link findRecord}; `NOT_PERMITTED` when it lies in a root that is only read
 */
export function findOwnRecord(context: StoreContext, ref: string): CatalogRecord {
  const { record, root } = findRecord(context, ref);
  if (root === undefined) return record;
  throw new StrataError(
    "NOT_PERMITTED",
    `Cannot change record "${record.id}": it lies in "${root.path}", which is only read; copy it first, with "strata adopt"`,
    { path: root.path },
  );
}

function recordIn({ catalog, layerDb }: ReadingContext, ref: string): CatalogRecord | undefined {
  const records = resolved({ catalog, layerDb }, ref);
  const [record, ...others] = records;
  if (record === undefined || others.length === 0) return record;
  const candidates = records.map(({ id }) => id);
  throw new StrataError(
    "AMBIGUOUS",
    `Cannot tell which record "${
      ref.slice(0, 200)
    }" means: ${candidates.length} stand for this layer; give the id of one`,
    { ref, candidates },
  );
}

function resolved({ catalog, layerDb }: Pick<ReadingContext, "catalog" | "layerDb">, ref: string) {
  try {
    return catalog.resolve(ref, () => layerDb.chainIds()).records;
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) return [];
    throw error;
  }
}
