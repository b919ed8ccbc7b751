// SPDX-License-Identifier: Apache-2.0
/**
 * The catalog: records by which users know layers, one small file each, and their names.
 *
 *   catalog/records/<id>.json  catalog_record.ts
 *   catalog/names/<name>       name_claims.ts
 *
 * I3: a record's file appearing, being replaced or disappearing is the one commit point of every change; names follow
 * it and are ignored where they disagree. I8: reading repairs nothing; a torn record is a finding and hides no other.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChainId, digestHex } from "../../core/digest.ts";
import { hasCode } from "../../core/errors.ts";
import { parseRecordId, type RecordId } from "../../core/ids.ts";
import { JSON_BYTES_MAX } from "../../core/limits.ts";
import { type Durability, syncDir, writeFileAtomic } from "../../host/durable.ts";
import { fromOsError } from "../../host/errno.ts";
import { listNames, removeTreeAt } from "../../host/files.ts";
import { SmallFiles } from "../../host/small_files.ts";
import { recordNotFound, strayFile, taken, tooLarge } from "./catalog_errors.ts";
import { checkName, type NameChange, namesAfter } from "./catalog_name.ts";
import {
  byAge,
  type CatalogRecord,
  catalogRecordText,
  plainRecordIn,
  readCatalogRecord,
  standsFor,
} from "./catalog_record.ts";
import { asStrataError, type Finding } from "../finding.ts";
import { type LayerUse, LayerUsers } from "../layer_users.ts";
import type { StoreLayout } from "../layout.ts";
import { checkNames, type NameFinding } from "./name_check.ts";
import { NameClaims } from "./name_claims.ts";
import { attempt, typeAt } from "../record_file.ts";
import { type Resolution, resolutionOf, type ResolveContext, resolveRef } from "./resolve_ref.ts";
import { ensureRecordDir } from "../staged_files.ts";
import type { WriteLock } from "../write_lock.ts";

export type { NameChange } from "./catalog_name.ts";

/** All records on disk at one moment. */
export interface CatalogListing {
  /** Oldest first. */
  readonly records: readonly CatalogRecord[];
  /** Records that cannot be read. */
  readonly findings: readonly Finding[];
}

/** What may change of a record beside its names. */
export type RecordChange = Partial<Omit<CatalogRecord, "id" | "names" | "created">>;

const SUFFIX = ".json";

/** The catalog of one store. It caches nothing: other processes change it at any time. */
export class CatalogRecords {
  readonly #layout: StoreLayout;
  readonly #durability: Durability;
  readonly #claims: NameClaims;
  readonly #users: LayerUsers;

  constructor(layout: StoreLayout, { durability = "full" }: { readonly durability?: Durability } = {}) {
    this.#layout = layout;
    this.#durability = durability;
    this.#claims = new NameClaims(layout, { durability });
    this.#users = new LayerUsers(layout);
  }

  /**
   * All records, the damaged ones as findings.
   * @throws {StrataError} only when the directory itself cannot be read
   */
  list(): CatalogListing {
    const records: CatalogRecord[] = [];
    const findings: Finding[] = [];
    const files = this.#files();
    using texts = files.length === 0 ? undefined : attempt(() => SmallFiles.open(this.#layout.recordsDir));
    for (const file of files) {
      if (file.startsWith(".tmp-")) continue; // A write under way, or one that a crash cut short.
      const path = `${this.#layout.recordsDir}/${file}`;
      const id = attempt(() => parseRecordId(file.slice(0, -SUFFIX.length)));
      if (id === undefined || !file.endsWith(SUFFIX)) {
        findings.push(strayFile(file, path));
        continue;
      }
      try {
        const text = texts?.text(file);
        const record = (text === undefined ? undefined : plainRecordIn(text, id)) ?? readCatalogRecord(path, id);
        if (record !== undefined) records.push(record);
      } catch (error) {
        const reason = asStrataError(error, `read catalog record "${id}"`);
        findings.push({ severity: "broken", kind: "record", subject: id, path, error: reason });
      }
    }
    return { records: records.sort(byAge), findings };
  }

  /**
   * One record.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` naming the file and the remedy
   */
  get(id: RecordId): CatalogRecord {
    const record = readCatalogRecord(this.#layout.recordPath(id), id);
    if (record === undefined) throw recordNotFound(id);
    return record;
  }

  /** Whether the id is taken, be its record sound or not. */
  has(id: RecordId): boolean {
    return typeAt(this.#layout.recordPath(id)) !== undefined;
  }

  /**
   * The record that owns a name; `undefined` when none does.
   * @throws {StrataError} `CORRUPT` when the record that claims the name is damaged
   */
  findByName(name: string): CatalogRecord | undefined {
    const id = this.#claims.claimant(name);
    const record = id === undefined ? undefined : readCatalogRecord(this.#layout.recordPath(id), id);
    return record?.names.includes(name) ? record : undefined;
  }

  /**
   * The record that owns a name.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` when the record that claims the name is damaged
   */
  getByName(name: string): CatalogRecord {
    const record = this.findByName(name);
    if (record === undefined) throw recordNotFound(name);
    return record;
  }

  /**
   * What a user's word for a layer means: an id, a name, a ChainID, or a prefix that fits one layer.
   * @param chainIds gives the layers on disk, so that those without a record are found as well; asked only where no record
   *   has this id or name
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when the very record is damaged
   */
  resolve(ref: string, chainIds: () => Iterable<ChainId> = () => []): Resolution {
    const id = attempt(() => parseRecordId(ref));
    const record = (id === undefined ? undefined : readCatalogRecord(this.#layout.recordPath(id), id)) ??
      this.findByName(ref);
    if (record !== undefined) return resolutionOf(record);
    const context = this.#beginningWith(ref, [...chainIds()]) ?? { records: this.list().records, chainIds: chainIds() };
    return resolveRef(ref, { ...context, byName: () => undefined });
  }

  /** What a prefix may mean: only these records are read. `undefined` when only all records together tell. */
  #beginningWith(ref: string, present: readonly ChainId[]): Omit<ResolveContext, "byName"> | undefined {
    const used = this.#users.usedLayers("record");
    if (used === undefined || ref === "") return undefined;
    const hex = ref.replace(/^sha256:/, "");
    const chainIds = present.filter((chainId) => digestHex(chainId).startsWith(hex));
    const stacks = new Set([...chainIds, ...used.filter((chainId) => digestHex(chainId).startsWith(hex))]);
    const ids = this.#files().filter((file) => file.startsWith(ref)).map((file) => file.slice(0, -SUFFIX.length));
    const records = [...this.#readAll(ids), ...[...stacks].flatMap((chainId) => this.referencesTo(chainId))];
    return { records: [...new Map(records.map((record) => [record.id, record])).values()].sort(byAge), chainIds };
  }

  /** The records that stand for a stack, the oldest first. */
  referencesTo(chainId: ChainId): CatalogRecord[] {
    return [...this.eachReferenceTo(chainId)].sort(byAge);
  }

  /** The same in any order, each read when it is asked for: there may be many. */
  *eachReferenceTo(chainId: ChainId): Generator<CatalogRecord, void> {
    const claimed = this.#users.of("record", chainId);
    if (claimed === undefined) return yield* this.list().records.filter((record) => standsFor(record, chainId));
    for (const id of claimed) yield* this.#readAll([id]).filter((record) => standsFor(record, chainId));
  }

  /** Whether several records stand for a stack. */
  isShared(chainId: ChainId): boolean {
    const records = this.eachReferenceTo(chainId);
    return records.next().done !== true && records.next().done !== true;
  }

  /**
   * Adds a record: visible with all its names at once, or not at all.
   * @returns the record as it is now
   * @throws {StrataError} `CONFLICT` when the id or a name is taken, `INVALID_ARGUMENT` for a name that cannot be used
   */
  create(lock: WriteLock, record: CatalogRecord): CatalogRecord {
    lock.assertCovers(this.#layout);
    if (this.has(record.id)) throw taken("record", record.id, "a record of this id exists");
    const created = { ...record, names: namesAfter([], { how: "set", names: record.names }) };
    this.#commit(created, []);
    return created;
  }

  /**
   * Changes a record's names; no other record is touched.
   * @returns the record as it is now
   * @throws {StrataError} `NOT_FOUND`; `CONFLICT` when another record owns a name; `INVALID_ARGUMENT`
   */
  changeNames(lock: WriteLock, id: RecordId, change: NameChange): CatalogRecord {
    lock.assertCovers(this.#layout);
    const before = this.get(id);
    const after = { ...before, names: namesAfter(before.names, change) };
    this.#commit(after, before.names);
    for (const name of before.names) if (!after.names.includes(name)) this.#claims.release(name, id);
    return after;
  }

  /**
   * Changes a record beside its names: reads it, and replaces its file.
   * @param change what becomes of what stands there now
   * @returns the record as it is now
   * @throws {StrataError} `NOT_FOUND`; whatever `change` throws, and nothing is changed
   */
  update(lock: WriteLock, id: RecordId, change: (before: CatalogRecord) => RecordChange): CatalogRecord {
    lock.assertCovers(this.#layout);
    const before = this.get(id);
    const after = { ...before, ...change(before) };
    this.#write(after);
    this.#dropUse(before, after);
    return after;
  }

  /**
   * Removes a record, a damaged one as well.
   * @throws {StrataError} `NOT_FOUND`
   */
  remove(lock: WriteLock, id: RecordId): void {
    lock.assertCovers(this.#layout);
    if (!this.has(id)) throw recordNotFound(id);
    const before = attempt(() => this.get(id));
    try {
      removeTreeAt(this.#layout.recordPath(id));
      if (this.#durability === "full") syncDir(this.#layout.recordsDir);
    } catch (error) {
      throw fromOsError(error, `remove catalog record "${id}"`);
    }
    if (before === undefined) return this.#releaseAll(id);
    this.#dropUse(before, undefined);
    for (const name of before.names) this.#claims.release(name, id);
  }

  /** Where names and records disagree. Reads everything; for fsck. */
  nameFindings(): NameFinding[] {
    const { records, findings } = this.list();
    const damagedIds = new Set(findings.flatMap(({ subject }) => attempt(() => parseRecordId(subject)) ?? []));
    return checkNames({ records, damagedIds, claims: this.#claims });
  }

  /**
   * Makes names and records agree again, and removes what unfinished writes left. A name that two records list stays
   * with the one that owns it.
   * @returns what was wrong
   */
  repair(lock: WriteLock): NameFinding[] {
    lock.assertCovers(this.#layout);
    const findings = this.nameFindings();
    for (const { record, file } of findings) if (record === undefined) this.#claims.removeFile(file);
    for (const { record, subject: name } of findings) {
      if (record === undefined) continue;
      if (this.#takenBy(name, record.id) === undefined) this.#claims.claim(name, record.id);
      else this.#write({ ...this.get(record.id), names: this.get(record.id).names.filter((other) => other !== name) });
    }
    this.#removeUnfinished();
    return findings;
  }

  /** Removes claims on names that no record stands behind, and what unfinished writes left. Returns the claims' files. */
  removeStray(lock: WriteLock): string[] {
    lock.assertCovers(this.#layout);
    const files = this.nameFindings().flatMap(({ record, file }) => record === undefined ? [file] : []);
    for (const file of files) this.#claims.removeFile(file);
    this.#removeUnfinished();
    return files;
  }

  /** Claims the record's names, then writes it; on failure, the claims that are new are dropped again. */
  #commit(record: CatalogRecord, namesBefore: readonly string[]): void {
    for (const name of record.names) {
      checkName(name);
      const owner = this.#takenBy(name, record.id);
      if (owner !== undefined) throw taken("name", name, `it belongs to the record "${owner}"`);
    }
    try {
      for (const name of record.names) this.#claims.claim(name, record.id);
      this.#write(record);
    } catch (error) {
      for (const name of record.names) {
        if (!namesBefore.includes(name)) attempt(() => this.#claims.release(name, record.id));
      }
      throw error;
    }
  }

  /** The other record that owns a name. A damaged one keeps what it claims: nobody can tell that it does not list it. */
  #takenBy(name: string, id: RecordId): RecordId | undefined {
    const claimant = this.#claims.claimant(name);
    if (claimant === undefined || claimant === id) return undefined;
    try {
      return this.get(claimant).names.includes(name) ? claimant : undefined;
    } catch (error) {
      if (hasCode(error, "NOT_FOUND")) return undefined;
      if (hasCode(error, "CORRUPT")) return claimant;
      throw error;
    }
  }

  #write(record: CatalogRecord): void {
    const text = catalogRecordText(record);
    const bytes = Buffer.byteLength(text);
    if (bytes > JSON_BYTES_MAX) throw tooLarge(record.id, bytes);
    try {
      if (record.target.kind === "layer") this.#users.add(useOf(record, record.target.chainId));
      ensureRecordDir(this.#layout.recordsDir, 0o700, this.#durability);
      const options = { mode: 0o600, durability: this.#durability };
      writeFileAtomic(this.#layout.recordPath(record.id), text, options);
    } catch (error) {
      throw fromOsError(error, `write catalog record "${record.id}"`);
    }
  }

  /** Once a record does not stand for its layer any more. */
  #dropUse(before: CatalogRecord, after: CatalogRecord | undefined): void {
    const { target } = before;
    if (target.kind !== "layer" || (after !== undefined && standsFor(after, target.chainId))) return;
    this.#users.remove(useOf(before, target.chainId));
  }

  /** Those that are there and sound. */
  #readAll(ids: readonly string[]): CatalogRecord[] {
    return ids.flatMap((id) => attempt(() => this.get(parseRecordId(id))) ?? []);
  }

  /** A damaged record does not tell its names any more; the claims do. */
  #releaseAll(id: RecordId): void {
    for (const file of this.#claims.files()) {
      if (attempt(() => this.#claims.claimantIn(file)) === id) this.#claims.removeFile(file);
    }
  }

  /** Nobody else writes while the lock is held, so a temporary file is a dead writer's. */
  #removeUnfinished(): void {
    for (const file of this.#files().filter((name) => name.startsWith(".tmp-"))) {
      try {
        removeTreeAt(`${this.#layout.recordsDir}/${file}`);
      } catch (error) {
        throw fromOsError(error, `remove the unfinished file "${file}"`);
      }
    }
  }

  #files(): string[] {
    try {
      return listNames(this.#layout.recordsDir);
    } catch (error) {
      throw fromOsError(error, "list the catalog");
    }
  }
}

function useOf({ id }: CatalogRecord, chainId: ChainId): LayerUse {
  return { kind: "record", chainId, who: id };
}
