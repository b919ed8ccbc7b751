// SPDX-License-Identifier: Apache-2.0
/**
 * What of another root is to be adopted.
 *
 * @module
 */
import { type ChainId, digestHex } from "../../core/digest.ts";
import { hasCode, type StrataError } from "../../core/errors.ts";
import { parseRecordId, randomId, type RecordId } from "../../core/ids.ts";
import type { CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
import { asStrataError } from "../../metadata/finding.ts";
import { attempt } from "../../metadata/record_file.ts";
import type { MountTarget } from "../mount.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";
import { resolveTarget, targetOf } from "../target.ts";
import type { FailedRecord, SkippedRecord } from "./adopt_report.ts";

/** Something to be adopted. */
export interface Candidate {
  /** The id that it is to have here. */
  readonly id: RecordId;
  readonly target: MountTarget;
  /** Its record; absent for a layer that has none. */
  readonly record?: CatalogRecord;
}

/** What was looked for, and found or not. */
export type Found =
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  | { readonly kind: "skipped" } & SkippedRecord
  | { readonly kind: "failed" } & FailedRecord;

/**
 * What words mean in a root.
 * @throws {StrataError} `NOT_FOUND` or `AMBIGUOUS`, before anything is adopted
 */
export function candidatesOf(root: ReadOnlyRoot, refs: readonly string[]): Found[] {
  return uniqueOf(refs.flatMap((ref) => candidatesNamed(root, ref)));
}

/** All that a root has: records, oldest first, then the layers that only they themselves stand for. */
export function allCandidates(root: ReadOnlyRoot): Found[] {
  const { catalog } = root.reading;
  const { records, findings } = catalog.list();
  const damaged = findings.filter(({ severity, kind }) => severity === "broken" && kind === "record");
  return [
    ...damaged.map(({ subject: id, error }) => failed(id, error)),
    ...records.map((record) => ofRecord(root, record)),
    ...unrecordedLayers(root, records),
    ...unrecordedMounts(root, records),
  ];
}

function candidatesNamed(root: ReadOnlyRoot, ref: string): Found[] {
  try {
    const { recordIds, ...target } = resolveTarget(root.reading, ref);
    if (recordIds.length === 0) return [candidate({ id: idOf(target), target })];
    return recordIds.map((id) => candidate({ id, target, record: root.reading.catalog.get(id) }));
  } catch (error) {
    if (!hasCode(error, "CORRUPT")) throw error;
    return [failed(ref, error)];
  }
}

function ofRecord(root: ReadOnlyRoot, record: CatalogRecord): Found {
  if (record.target.kind === "writable") return withoutDiffId(record.id);
  try {
    const { recordIds: _ids, ...target } = targetOf(root.reading, record);
    return candidate({ id: record.id, target, record });
  } catch (error) {
    return failed(record.id, asStrataError(error, `adopt "${record.id}"`));
  }
}

/** Where no records are, as in Docker's roots, the top of each stack stands for all of it. */
function unrecordedLayers({ reading }: ReadOnlyRoot, records: readonly CatalogRecord[]): Found[] {
  const { layers, broken } = reading.layerDb.list();
  const needless = new Set<ChainId>();
  for (const { target } of records) if (target.kind === "layer") needless.add(target.chainId);
  for (const { parent } of layers.values()) if (parent !== undefined) needless.add(parent);
  const tops = [...layers.values()].filter(({ chainId }) => !needless.has(chainId));
  return [
    ...tops.map((record) => {
      const target = { kind: "layer", record } as const;
      return candidate({ id: idOf(target), target });
    }),
    ...broken.filter(({ chainId }) => !needless.has(chainId)).map(({ chainId, error }) => failed(chainId, error)),
  ];
}

function unrecordedMounts({ reading }: ReadOnlyRoot, records: readonly CatalogRecord[]): Found[] {
  const owned = new Set(records.flatMap(({ target }) => target.kind === "writable" ? [target.mountName] : []));
  const mounts = [...reading.mounts.list().mounts.values()];
  return mounts.filter(({ name, record }) => record === undefined && !owned.has(name))
    .map(({ name }) => withoutDiffId(name));
}

/** Tools that know layers by digests only name their records so. */
function idOf(target: MountTarget): RecordId {
  if (target.kind === "layer") return parseRecordId(digestHex(target.record.chainId));
  return attempt(() => parseRecordId(target.record.name)) ?? parseRecordId(randomId());
}

function uniqueOf(found: readonly Found[]): Found[] {
  const ids = new Set<string>();
  return found.filter((each) => {
    const id = each.kind === "candidate" ? each.candidate.id : each.id;
    return ids.size < ids.add(id).size;
  });
}

function candidate(each: Candidate): Found {
  return { kind: "candidate", candidate: each };
}

function withoutDiffId(id: string): Found {
  const reason = "it is writable, so it has no digest yet; name it to adopt what it changes as a layer";
  return { kind: "skipped", id, reason };
}

function failed(id: string, error: StrataError): Found {
  return { kind: "failed", id, error };
}
