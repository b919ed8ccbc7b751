// SPDX-License-Identifier: Apache-2.0
/**
 * The catalog: records with an id and names, by which users know layers (D3). Several records may stand for one layer;
 * a layer lives as long as one of them does.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import { parseRecordId, randomId, type RecordId } from "../core/ids.ts";
import type { BlobInfo } from "../metadata/blob_info.ts";
import type { CatalogRecord } from "../metadata/catalog/catalog_record.ts";
import type { CatalogListing, NameChange } from "../metadata/catalog/catalog_records.ts";
import { type StoreContext, underLock } from "./context.ts";
import type { DeletedLayer } from "./layer.ts";
import { References } from "./references.ts";
import { deleteUnneeded } from "./release.ts";

/** What a new record says. */
export interface CreateRecordOptions {
  /** The caller's id; random by default. */
  readonly id?: string;
  /** Its names; none may be another record's. */
  readonly names?: readonly string[];
  /** The blob that the layer came from, for information. */
  readonly blob?: BlobInfo;
}

/** How a record is removed. */
export interface RemoveRecordOptions {
  /**
   * What to do when this is the last record of a layer that something else needs: refuse, or remove the record all the
   * same and leave the layer. Default `refuse`.
   */
  readonly whenUsed?: "refuse" | "remove";
}

/** Names layers. */
export class Catalog {
  readonly #context: StoreContext;

  /** @ignore */
  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** All records, oldest first, and what is damaged. */
  list(): CatalogListing {
    return this.#context.catalog.list();
  }

  /**
   * One record, by its whole id or one of its names.
   * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
   */
  get(idOrName: string): CatalogRecord {
    const byName = this.#context.catalog.findByName(idOrName);
    return byName ?? this.#context.catalog.get(parseId(idOrName));
  }

  /**
   * Adds a record for a layer.
   * @throws {StrataError} `CONFLICT` when the id or a name is taken, `NOT_FOUND` for the layer, `INVALID_ARGUMENT`
   */
  async create(chainId: ChainId, options: CreateRecordOptions = {}): Promise<CatalogRecord> {
    const record: CatalogRecord = {
      id: parseId(options.id ?? randomId()),
      names: options.names ?? [],
      target: { kind: "layer", chainId },
      created: new Date().toISOString(),
      metadata: "",
      flags: {},
      ...(options.blob === undefined ? {} : { blob: options.blob }),
    };
    await underLock(this.#context, (lock) => {
      this.#context.layerDb.read(chainId);
      this.#context.catalog.create(lock, record);
    });
    return record;
  }

  /**
   * Refuses an id or names that {@link Catalog.create} would refuse: before a long operation, not after it.
   * @throws {StrataError} `CONFLICT`, `INVALID_ARGUMENT`
   */
  requireFree({ id, names = [] }: CreateRecordOptions): void {
    const { catalog } = this.#context;
    if (id !== undefined && catalog.has(parseId(id))) throw taken("record", id);
    for (const name of names) if (catalog.findByName(name) !== undefined) throw taken("name", name);
  }

  /**
   * Changes a record's names.
   * @throws {StrataError} `NOT_FOUND`, `CONFLICT`, `INVALID_ARGUMENT`
   */
  changeNames(id: RecordId, change: NameChange): Promise<CatalogRecord> {
    return underLock(this.#context, (lock) => this.#context.catalog.changeNames(lock, id, change));
  }

  /**
   * Removes a record, and the layers that nothing needs after it. A damaged record can be removed, too.
   * @returns the layers that went with it, top first
   * @throws {StrataError} `NOT_FOUND`; `IN_USE` when it is the last record of a layer that something else needs
   */
  async remove(id: RecordId, options: RemoveRecordOptions = {}): Promise<DeletedLayer[]> {
    const chainId = this.#chainOf(id);
    if (chainId !== undefined && options.whenUsed !== "remove") this.#refuseIfUsed(id, chainId);
    await underLock(this.#context, (lock) => this.#context.catalog.remove(lock, id));
    return await deleteUnneeded(this.#context, chainId);
  }

  #chainOf(id: RecordId): ChainId | undefined {
    try {
      const { target } = this.#context.catalog.get(id);
      return target.kind === "layer" ? target.chainId : undefined;
    } catch (error) {
      if (hasCode(error, "CORRUPT")) return undefined;
      throw error;
    }
  }

  /** The last record of a layer that something else needs is its only name: without it, nobody finds what to remove. */
  #refuseIfUsed(id: RecordId, chainId: ChainId): void {
    const { layerDb, catalog } = this.#context;
    if (!layerDb.has(chainId) || catalog.referencesTo(chainId).length > 1) return;
    const usedBy = new References(this.#context).to(chainId).filter((user) =>
      user !== `record ${id}` && user !== "this process"
    );
    if (usedBy.length === 0) return;
    throw new StrataError(
      "IN_USE",
      `Cannot remove record "${id}": ${usedBy.join(", ")} ${usedBy.length === 1 ? "needs" : "need"} its layer; ` +
        "remove that first, or use force, which takes the record away and leaves the layer",
      { kind: "layer", name: chainId, usedBy },
    );
  }
}

function parseId(text: string): RecordId {
  try {
    return parseRecordId(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError("INVALID_ARGUMENT", message, { argument: "id" }, { cause });
  }
}

function taken(kind: "record" | "name", name: string): StrataError {
  return new StrataError(
    "CONFLICT",
    `Cannot use ${kind === "record" ? "id" : "name"} "${name}": a record has it already; choose another`,
    { kind, name },
  );
}
