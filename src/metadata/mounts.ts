// SPDX-License-Identifier: Apache-2.0
/**
 * The records of writable layers: Docker's `layerdb/mounts/<name>` (moby, layer/filestore.go).
 *
 *   mount-id     64 hex digits: the driver's directory, no newline
 *   init-id      the directory between it and the parent, `<mount-id>-init`; absent when there is none
 *   parent       ChainID of the layer below; absent when it stands alone
 *   strata.json  what Docker has no file for; Docker ignores it
 *
 * Docker writes these files one by one in place, so a crash leaves half a record. Here the directory is made elsewhere
 * and renamed (I3), and a name becomes a path only after it has been checked.
 *
 * @module
 */
import * as v from "valibot";
import { type ChainId, parseChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { type CacheId, parseCacheId, parseRecordId, randomId, type RecordId } from "../core/ids.ts";
import { type Durability, syncDir } from "../host/durable.ts";
import { fromOsError } from "../host/errno.ts";
import { ensureDir, listNames, removeTreeAt, renamePath } from "../host/files.ts";
import { shareProject } from "../host/quota/project_id.ts";
import { countSchema, timeSchema } from "./blob_info.ts";
import { asStrataError, type Finding, pathOf } from "./finding.ts";
import { type LayerUse, LayerUsers } from "./layer_users.ts";
import type { StoreLayout } from "./layout.ts";
import {
  attempt,
  corruptFile,
  jsonText,
  parsedText,
  type ReadContext,
  readRecordJson,
  readRecordText,
  typeAt,
} from "./record_file.ts";
import { ensureRecordDir, writeStagedFiles } from "./staged_files.ts";
import type { WriteLock } from "./write_lock.ts";

/** @internal */
declare const mountName: unique symbol;
/** @internal */
type Brand = { readonly [mountName]: true };

/** Name of a writable layer; safe as a path component. Made by {@link parseMountName} only. */
export type MountName = string & Brand;

/** What is recorded of a writable layer. */
export interface MountRecord extends MountExtras {
  /** Its name, unique in the store. */
  readonly name: MountName;
  /** Name of its directory inside the driver. */
  readonly mountId: CacheId;
  /** The layer between it and its parent that its maker filled; its content is no change. */
  readonly initId?: CacheId;
  /** Absent: it stands on nothing. */
  readonly parent?: ChainId;
}

/** What only this store records; a writable layer that Docker made has none of it. */
export interface MountExtras {
  /** ISO 8601, UTC. */
  readonly created?: string;
  /** SELinux label of its mounts. */
  readonly mountLabel?: string;
  /** The driver's options. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /** The catalog record whose own it is. Without that record it is what a crash left. */
  readonly record?: RecordId;
  /** The root in which its files lie, for one that only stands for a writable layer there. It is mounted read-only. */
  readonly outside?: string;
  /** How user ids are mapped. */
  readonly uidMap?: readonly IdRange[];
  /** How group ids are mapped. */
  readonly gidMap?: readonly IdRange[];
}

/** Ids inside a container, and the host's ids that stand for them. */
export interface IdRange {
  /** First id inside. */
  readonly containerId: number;
  /** First id outside. */
  readonly hostId: number;
  /** How many ids. */
  readonly size: number;
}

/** All writable layers on disk at one moment. */
export interface MountListing {
  /** In the order of names. */
  readonly mounts: ReadonlyMap<MountName, MountRecord>;
  /** Directories whose record cannot be read. */
  readonly broken: readonly BrokenMount[];
}

/** A writable layer that cannot be used, and what is still known of it: none of that is garbage yet. */
export interface BrokenMount extends Finding {
  /** Its directory inside the driver, where the record still tells. */
  readonly mountId?: CacheId;
  /** Its init layer's directory, where the record still tells. */
  readonly initId?: CacheId;
  /** The stack below, where the record still tells. */
  readonly parent?: ChainId;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;
const MOUNT_ID = /^[a-f0-9]{64}(-init)?$/;
const idMapSchema = v.array(v.object({ containerId: countSchema, hostId: countSchema, size: countSchema }));
const extrasSchema = v.object({
  schema: v.literal(1),
  created: v.exactOptional(timeSchema),
  mountLabel: v.exactOptional(v.string()),
  storageOptions: v.exactOptional(v.record(v.string(), v.string())),
  record: v.exactOptional(parsedText(parseRecordId)),
  outside: v.exactOptional(v.string()),
  uidMap: v.exactOptional(idMapSchema),
  gidMap: v.exactOptional(idMapSchema),
});

/**
 * The text as the name of a writable layer.
 * @throws {StrataError} `INVALID_ARGUMENT` when it could not be one path component, or could be taken for an option
 */
export function parseMountName(text: string): MountName {
  if (!NAME.test(text)) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot use "${text.slice(0, 80)}" as the name of a writable layer: expected a letter or digit, then letters, ` +
        `digits, "_", "." or "-", 255 at most`,
      { argument: "name" },
    );
  }
  return text as MountName;
}

/** The writable layers' records of one store. It caches nothing. */
export class MountRecords {
  readonly #layout: StoreLayout;
  readonly #durability: Durability;
  readonly #users: LayerUsers;

  constructor(layout: StoreLayout, { durability = "full" }: { readonly durability?: Durability } = {}) {
    this.#layout = layout;
    this.#durability = durability;
    this.#users = new LayerUsers(layout);
  }

  /**
   * All writable layers, the damaged ones as findings.
   * @throws {StrataError} only when the directory itself cannot be read
   */
  list(): MountListing {
    return this.#listed(this.#names());
  }

  /** Those that lie on a layer. */
  on(chainId: ChainId): MountListing {
    const { mounts, broken } = this.#listed(this.#users.of("writable", chainId) ?? this.#names());
    return {
      mounts: new Map([...mounts].filter(([, { parent }]) => parent === chainId)),
      broken: broken.filter(({ parent }) => parent === chainId),
    };
  }

  #listed(entries: readonly string[]): MountListing {
    const mounts = new Map<MountName, MountRecord>();
    const broken: BrokenMount[] = [];
    for (const entry of entries) {
      const path = `${this.#layout.mountsDir}/${entry}`;
      if (!isDirectory(path)) continue;
      try {
        const name = parseMountName(entry);
        mounts.set(name, readMountRecord(path, name));
      } catch (error) {
        if (!isDirectory(path)) continue;
        const reason = asStrataError(error, `read writable layer "${entry}"`);
        broken.push({
          severity: "broken",
          kind: "mount",
          subject: entry,
          path: pathOf(reason, path),
          error: reason,
          ...peekMountRecord(path),
        });
      }
    }
    return { mounts, broken };
  }

  /**
   * One writable layer's record.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` naming the file and the remedy
   */
  read(name: MountName): MountRecord {
    const dir = this.#layout.mountDir(name);
    if (!isDirectory(dir)) throw mountNotFound(name);
    return readMountRecord(dir, name);
  }

  /** Whether the name is taken, be its record sound or not. */
  has(name: MountName): boolean {
    return isDirectory(this.#layout.mountDir(name));
  }

  /**
   * Publishes a writable layer: the commit point (I3). Its data must be there already (I1).
   * @throws {StrataError} `CONFLICT` when the name is taken, by a damaged record, too
   */
  create(lock: WriteLock, record: MountRecord): void {
    lock.assertCovers(this.#layout);
    if (this.has(record.name)) throw nameTaken(record.name);
    const staged = `${this.#layout.stagingDir}/${randomId()}`;
    try {
      ensureRecordDir(this.#layout.mountsDir, 0o755, this.#durability);
      ensureDir(this.#layout.stagingDir, 0o700);
      ensureDir(staged, 0o755);
      shareProject(staged, this.#layout.mountsDir);
      writeStagedFiles(staged, filesOf(record), this.#durability);
      if (record.parent !== undefined) this.#users.add(useOf(record.name, record.parent));
      renamePath(staged, this.#layout.mountDir(record.name), { replace: "never" });
      this.#sync();
    } catch (error) {
      removeTreeAt(staged);
      throw fromOsError(error, `create writable layer "${record.name}"`);
    }
  }

  /**
   * Takes a writable layer's record away in one step; its data may be removed after that (I1). Works on a damaged one.
   * @throws {StrataError} `NOT_FOUND`
   */
  remove(lock: WriteLock, name: MountName): void {
    lock.assertCovers(this.#layout);
    if (!this.has(name)) throw mountNotFound(name);
    const { parent } = peekMountRecord(this.#layout.mountDir(name));
    const trash = `${this.#layout.stagingDir}/${randomId()}`;
    try {
      ensureDir(trash, 0o700);
      shareProject(trash, this.#layout.mountsDir);
      renamePath(this.#layout.mountDir(name), `${trash}/${name}`, { replace: "never" });
      this.#sync();
      if (parent !== undefined) this.#users.remove(useOf(name, parent));
      removeTreeAt(trash);
    } catch (error) {
      throw fromOsError(error, `remove the record of writable layer "${name}"`);
    }
  }

  #names(): string[] {
    try {
      return listNames(this.#layout.mountsDir);
    } catch (error) {
      throw fromOsError(error, "list the writable layers");
    }
  }

  #sync(): void {
    if (this.#durability === "full") syncDir(this.#layout.mountsDir);
  }
}

function useOf(name: MountName, parent: ChainId): LayerUse {
  return { kind: "writable", chainId: parent, who: name };
}

function readMountRecord(dir: string, name: MountName): MountRecord {
  const context = mountContext(name);
  const mountId = readId(`${dir}/mount-id`, context);
  if (mountId === undefined) throw corruptFile(`${dir}/mount-id`, "is missing", context);
  const initId = readId(`${dir}/init-id`, context);
  const parent = readParent(`${dir}/parent`, context);
  const { schema: _schema, ...extras } = readRecordJson(`${dir}/strata.json`, extrasSchema, context) ?? { schema: 1 };
  return {
    name,
    mountId,
    ...(initId === undefined ? {} : { initId }),
    ...(parent === undefined ? {} : { parent }),
    ...extras,
  };
}

function peekMountRecord(dir: string): Pick<BrokenMount, "mountId" | "initId" | "parent"> {
  const context = mountContext(dir);
  const mountId = attempt(() => readId(`${dir}/mount-id`, context));
  const initId = attempt(() => readId(`${dir}/init-id`, context));
  const parent = attempt(() => readParent(`${dir}/parent`, context));
  return {
    ...(mountId === undefined ? {} : { mountId }),
    ...(initId === undefined ? {} : { initId }),
    ...(parent === undefined ? {} : { parent }),
  };
}

function mountContext(name: string): ReadContext {
  return {
    action: `read writable layer "${name}"`,
    remedy: `remove it with "strata rm", or restore the file`,
  };
}

function readId(path: string, context: ReadContext): CacheId | undefined {
  const text = readRecordText(path, context)?.trim();
  if (text === undefined) return undefined;
  if (!MOUNT_ID.test(text)) {
    throw corruptFile(path, `holds ${JSON.stringify(text.slice(0, 80))}, which is no id`, context);
  }
  return parseCacheId(text);
}

function readParent(path: string, context: ReadContext): ChainId | undefined {
  const text = readRecordText(path, context)?.trim();
  if (text === undefined) return undefined;
  try {
    return parseChainId(text);
  } catch (cause) {
    throw corruptFile(path, "holds no ChainID", { ...context, cause });
  }
}

/** Docker's order. */
function filesOf(record: MountRecord): [name: string, text: string][] {
  const files: [string, string][] = [["mount-id", record.mountId]];
  if (record.initId !== undefined) files.push(["init-id", record.initId]);
  if (record.parent !== undefined) files.push(["parent", record.parent]);
  const { created, mountLabel, storageOptions, record: recordId, outside, uidMap, gidMap } = record;
  const extras = { schema: 1, created, mountLabel, storageOptions, record: recordId, outside, uidMap, gidMap };
  files.push(["strata.json", jsonText(extras)]);
  return files;
}

function isDirectory(path: string): boolean {
  return typeAt(path) === "dir";
}

function mountNotFound(name: MountName): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find writable layer "${name}": the store has no record of it; "strata layers" lists what there is`,
    { kind: "writable layer", ref: name },
  );
}

function nameTaken(name: MountName): StrataError {
  return new StrataError(
    "CONFLICT",
    `Cannot create writable layer "${name}": the name is taken; choose another, or remove it with "strata rm ${name}"`,
    { kind: "writable layer", name },
  );
}
