// SPDX-License-Identifier: Apache-2.0
/**
 * What a user's word for a layer means. Pure.
 *
 * The first of these that fits: the id of a record; a name; a whole ChainID; a prefix of ids and of ChainIDs' hex
 * digits, which must fit one layer only. A name is never matched by a prefix, also where it is a writable layer's id.
 *
 * @module
 */
import { type ChainId, digestHex } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { type CatalogRecord, standsFor } from "./catalog_record.ts";

/** Ids that nobody chose, here or in containers/storage. */
const RANDOM_ID = /^[0-9a-f]{64}$/;

/** What a reference can mean. */
export interface ResolveContext {
  readonly records: readonly CatalogRecord[];
  /** Layers on disk, with and without records. */
  readonly chainIds: Iterable<ChainId>;
  /** The record that owns a name. */
  readonly byName: (name: string) => CatalogRecord | undefined;
}

/** What a reference means. */
export interface Resolution {
  /** One for an id or a name; for a ChainID all that stand for it, perhaps none. */
  readonly records: readonly CatalogRecord[];
  /** Absent for a writable layer. */
  readonly chainId?: ChainId;
}

/**
 * The layer that a reference means.
 * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates
 */
export function resolveRef(ref: string, { records, chainIds, byName }: ResolveContext): Resolution {
  const exact = records.find((record) => record.id === ref) ?? byName(ref);
  if (exact !== undefined) return resolutionOf(exact);

  const hex = ref.replace(/^sha256:/, "");
  const chains = new Set(chainIds);
  for (const { target } of records) if (target.kind === "layer") chains.add(target.chainId);
  const named = hex === ref && ref !== ""
    ? records.filter((record) => record.id.startsWith(ref) && !isNamedById(record))
    : [];
  // Many tools take the ChainID's hex digits as a record's id; then the record is meant, and nothing is ambiguous.
  const fitting = hex === ""
    ? []
    : [...chains].filter((id) => digestHex(id).startsWith(hex) && !named.some((record) => standsFor(record, id)));

  const [chain] = fitting;
  const [record] = named;
  const candidates = [...named.map(({ id }): string => id), ...fitting].sort();
  if (candidates.length > 1) throw ambiguous(ref, candidates);
  if (record !== undefined) return resolutionOf(record);
  if (chain !== undefined) return { records: records.filter((r) => standsFor(r, chain)), chainId: chain };
  throw layerNotFound(ref);
}

/** A writable layer whose name is its record's id, too: who asks for another name must not be given this one. */
function isNamedById({ id, target }: CatalogRecord): boolean {
  return target.kind === "writable" && `${target.mountName}` === id && !RANDOM_ID.test(id);
}

/** A record's own resolution. */
export function resolutionOf(record: CatalogRecord): Resolution {
  return record.target.kind === "layer" ? { records: [record], chainId: record.target.chainId } : { records: [record] };
}

function layerNotFound(ref: string): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find layer "${
      ref.slice(0, 200)
    }": no record has this id or name, and no ChainID begins so; "strata layers" lists them`,
    { kind: "layer", ref },
  );
}

function ambiguous(ref: string, candidates: readonly string[]): StrataError {
  return new StrataError(
    "AMBIGUOUS",
    `Cannot tell which layer "${ref.slice(0, 200)}" means: it fits ${candidates.slice(0, 8).join(", ")}` +
      `${candidates.length > 8 ? `, and ${candidates.length - 8} more` : ""}; give more of it`,
    { ref, candidates },
  );
}
