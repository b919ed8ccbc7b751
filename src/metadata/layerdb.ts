// SPDX-License-Identifier: Apache-2.0
/**
 * The records of all layers: Docker's `layerdb/sha256`. Listing, publishing and withdrawing.
 *
 * I1: a record is published after its data is synced, and withdrawn before its data is removed.
 * I3: publishing is one rename that never replaces; Docker's store does the same, but leaves the directory unsynced.
 * I8: reading deletes nothing. A damaged layer is a finding, and gives way to the same layer when it is registered
 * again; in Docker it would be hidden and block the name for ever.
 *
 * @module
 */
import { type ChainId, digestHex, isChainId, parseChainId } from "../core/digest.ts";
import { hasCode } from "../core/errors.ts";
import { type CacheId, randomId } from "../core/ids.ts";
import { type Durability, syncDir } from "../host/durable.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { exchangePaths, listNames, removeTreeAt, renamePath, statPath } from "../host/files.ts";
import { shareProject } from "../host/quota/project_id.ts";
import { chainError, findChainFaults } from "./chain.ts";
import { asStrataError, type Finding } from "./finding.ts";
import { layerFinding, layerNotFound, strayEntry } from "./layer_findings.ts";
import {
  type LayerRecord,
  peekLayerRecord,
  readLayerRecord,
  requireTarSplit,
  stageLayerRecord,
  TAR_SPLIT_FILE,
} from "./layer_record.ts";
import { type LayerUse, LayerUsers } from "./layer_users.ts";
import type { StoreLayout } from "./layout.ts";
import { typeAt } from "./record_file.ts";
import { ensureRecordDir } from "./staged_files.ts";
import type { WriteLock } from "./write_lock.ts";

/** All layers on disk at one moment. */
export interface LayerListing {
  /** Layers that can be used, all layers below them included. In the order of the hex digits. */
  readonly layers: ReadonlyMap<ChainId, LayerRecord>;
  /** Layers that cannot be used. */
  readonly broken: readonly BrokenLayer[];
  /** Layers whose `strata.json` is damaged, and entries that are no layers. */
  readonly findings: readonly Finding[];
}

/** A layer that cannot be used, and what is still known of it: neither its data nor its parent is garbage yet. */
export interface BrokenLayer extends Finding {
  /** The name of its record. */
  readonly chainId: ChainId;
  /** Its directory inside the driver, where the record still tells. */
  readonly cacheId?: CacheId;
  /** The stack below, where the record still tells. */
  readonly parent?: ChainId;
}

/** A layer that states to lie on another. */
export interface LayerChild {
  readonly chainId: ChainId;
  /** Its directory inside the driver, where the record still tells. */
  readonly cacheId?: CacheId;
}

/** A record taken away, whose data may be removed now. */
export interface WithdrawnLayer {
  readonly chainId: ChainId;
  /** The record's directory under its new name. */
  readonly path: string;
  /** Absent: the record does not tell any more. */
  readonly cacheId?: CacheId;
}

/** A record that is ready to be published. */
export interface StagedRecord {
  readonly chainId: ChainId;
  /** Holds the record's files and the tar-split; on the store's file system. */
  readonly stagedDir: string;
  /** What becomes of a sound record of that name: it stays (the default), or gives way like a damaged one. */
  readonly existing?: "keep" | "replace";
}

/** Docker's mark on a layer whose deletion has begun; dockerd finishes it, too. */
const REMOVING = /^([0-9a-f]{64})-.*-removing$/;

/** The layer records of one store. It caches nothing: other processes change the store at any time. */
export class LayerDb {
  readonly #layout: StoreLayout;
  readonly #durability: Durability;
  readonly #users: LayerUsers;

  constructor(layout: StoreLayout, { durability = "full" }: { readonly durability?: Durability } = {}) {
    this.#layout = layout;
    this.#durability = durability;
    this.#users = new LayerUsers(layout);
  }

  /**
   * All layers, the damaged ones as findings.
   * @throws {StrataError} only when the directory itself cannot be read
   */
  list(): LayerListing {
    const layers = new Map<ChainId, LayerRecord>();
    const broken: BrokenLayer[] = [];
    const findings: Finding[] = [];
    for (const name of this.#entries()) {
      const path = `${this.#layout.layersDir}/${name}`;
      if (REMOVING.test(name)) continue;
      const stray = strayEntry(name, path);
      if (stray !== undefined) {
        findings.push(stray);
        continue;
      }
      const chainId = parseChainId(`sha256:${name}`);
      try {
        const { record, extrasError } = readLayerRecord(path, chainId);
        layers.set(chainId, record);
        if (extrasError !== undefined) findings.push(layerFinding("degraded", chainId, { path, error: extrasError }));
      } catch (error) {
        // A layer that another process withdrew since the directory was listed is gone, not broken.
        if (!isDirectory(path)) continue;
        const reason = asStrataError(error, `read layer ${chainId}`);
        broken.push({
          ...layerFinding("broken", chainId, { path, error: reason }),
          chainId,
          ...peekLayerRecord(path, chainId),
        });
      }
    }
    broken.push(...this.#takeUnsupported(layers));
    return { layers, broken, findings };
  }

  /** The layers that have a record, sound or not, in the order of their hex digits. Nothing is read but the directory. */
  chainIds(): ChainId[] {
    return this.#entries().map((name) => `sha256:${name}`).filter(isChainId);
  }

  /**
   * One layer's record.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` naming the file and the remedy
   */
  read(chainId: ChainId): LayerRecord {
    const dir = this.#layout.layerDir(chainId);
    if (!isDirectory(dir)) throw layerNotFound(chainId);
    return readLayerRecord(dir, chainId).record;
  }

  /**
   * One layer's record if it is there and whole, tar-split included; `undefined` when it is absent or damaged, and so
   * is to be registered (again). The layers below are not looked at.
   */
  findSound(chainId: ChainId): LayerRecord | undefined {
    const dir = this.#layout.layerDir(chainId);
    if (!isDirectory(dir)) return undefined;
    try {
      const { record } = readLayerRecord(dir, chainId);
      requireTarSplit(dir, chainId);
      return record;
    } catch (error) {
      if (hasCode(error, "CORRUPT")) return undefined;
      throw error;
    }
  }

  /** Whether a record of that name exists, sound or not. */
  has(chainId: ChainId): boolean {
    return isDirectory(this.#layout.layerDir(chainId));
  }

  /** The directory of a layer's data, as far as its record tells, be it sound or not. */
  findCacheId(chainId: ChainId): CacheId | undefined {
    return peekLayerRecord(this.#layout.layerDir(chainId), chainId).cacheId;
  }

  /** The layers that state to lie on a layer, damaged ones included; the layer itself may be gone. */
  childrenOf(chainId: ChainId): LayerChild[] {
    const claimed = this.#users.of("layer", chainId) ?? this.chainIds();
    return claimed.filter(isChainId).flatMap((child) => {
      const { cacheId, parent } = peekLayerRecord(this.#layout.layerDir(child), child);
      return parent === chainId ? { chainId: child, ...(cacheId === undefined ? {} : { cacheId }) } : [];
    });
  }

  /** When a layer's record was made. Milliseconds since 1970; `undefined` when there is none. */
  recordedMs(chainId: ChainId): number | undefined {
    const mtime = statPath(this.#layout.layerDir(chainId))?.mtime;
    return mtime && mtime.sec * 1000 + Math.floor(mtime.nsec / 1e6);
  }

  /** Where the layer's tar-split lies. */
  tarSplitPath(chainId: ChainId): string {
    return `${this.#layout.layerDir(chainId)}/${TAR_SPLIT_FILE}`;
  }

  /**
   * Writes a record's files into a staging directory, beside the tar-split.
   * @throws {StrataError} `INVALID_ARGUMENT` when the ChainID is not that of parent and DiffID
   */
  stageRecord(dir: string, record: LayerRecord): void {
    try {
      stageLayerRecord(dir, record, this.#durability);
    } catch (error) {
      throw fromOsError(error, `record layer ${record.chainId}`);
    }
  }

  /**
   * Publishes a staged record: the commit point (I3). The data must have been synced (I1). When a sound record of that
   * name is there already, the staged one is left alone and `exists` is returned, unless it is to be replaced. A record
   * that gives way, as a damaged one always does, comes to lie where the staged one was; there is no moment without one.
   * @throws {StrataError} `CORRUPT` when the staged record is not sound
   */
  publish(lock: WriteLock, { chainId, stagedDir, existing = "keep" }: StagedRecord): "published" | "exists" {
    lock.assertCovers(this.#layout);
    const { parent } = readLayerRecord(stagedDir, chainId).record;
    requireTarSplit(stagedDir, chainId);
    const target = this.#layout.layerDir(chainId);
    try {
      ensureRecordDir(this.#layout.layersDir, 0o755, this.#durability);
      if (existing === "keep" && this.findSound(chainId) !== undefined) return "exists";
      if (parent !== undefined) this.#users.add(useOf(chainId, parent));
      if (isDirectory(target)) exchangePaths(stagedDir, target);
      else renamePath(stagedDir, target, { replace: "never" });
      this.#sync();
      return "published";
    } catch (error) {
      throw fromOsError(error, `publish layer ${chainId}`);
    }
  }

  /**
   * Takes a layer's record away, durably; from then on the layer does not exist, and its data may be removed (I1).
   * @throws {StrataError} `NOT_FOUND`; any failure of the rename, in which case nothing has changed
   */
  withdraw(lock: WriteLock, chainId: ChainId): WithdrawnLayer {
    lock.assertCovers(this.#layout);
    const dir = this.#layout.layerDir(chainId);
    if (!isDirectory(dir)) throw layerNotFound(chainId);
    const { cacheId, parent } = peekLayerRecord(dir, chainId);
    try {
      const path = this.#moveAside(chainId);
      this.#sync();
      if (parent !== undefined) this.#users.remove(useOf(chainId, parent));
      return { chainId, path, ...(cacheId === undefined ? {} : { cacheId }) };
    } catch (error) {
      throw fromOsError(error, `remove layer ${chainId}`);
    }
  }

  /** Removes what {@link withdraw} or {@link orphans} returned, after its data. Absence is no error. */
  removeWithdrawn(lock: WriteLock, { chainId, path }: WithdrawnLayer): void {
    lock.assertCovers(this.#layout);
    try {
      removeTreeAt(path);
    } catch (error) {
      throw fromOsError(error, `remove what is left of layer ${chainId}`);
    }
  }

  /**
   * Moves a damaged record out of the way, where a person can look at it. Its data stays.
   * @throws {StrataError} `NOT_FOUND`
   */
  quarantine(lock: WriteLock, chainId: ChainId): string {
    lock.assertCovers(this.#layout);
    const dir = this.#layout.layerDir(chainId);
    if (!isDirectory(dir)) throw layerNotFound(chainId);
    const { parent } = peekLayerRecord(dir, chainId);
    const path = `${this.#layout.quarantineDir}/${digestHex(chainId)}-${randomId().slice(0, 12)}`;
    try {
      ensureRecordDir(this.#layout.quarantineDir, 0o700, "full");
      shareProject(this.#layout.quarantineDir, this.#layout.layersDir);
      renamePath(dir, path, { replace: "never" });
      syncDir(this.#layout.quarantineDir);
      syncDir(this.#layout.layersDir);
      if (parent !== undefined) this.#users.remove(useOf(chainId, parent));
      return path;
    } catch (error) {
      throw fromOsError(error, `move the record of layer ${chainId} aside`);
    }
  }

  /** Layers whose deletion was begun and not finished, by this store or by Docker. */
  orphans(): WithdrawnLayer[] {
    return this.#entries().flatMap((name) => {
      const hex = REMOVING.exec(name)?.[1];
      const path = `${this.#layout.layersDir}/${name}`;
      if (hex === undefined || !isDirectory(path)) return [];
      const chainId = parseChainId(`sha256:${hex}`);
      const { cacheId } = peekLayerRecord(path, chainId);
      return [{ chainId, path, ...(cacheId === undefined ? {} : { cacheId }) }];
    });
  }

  #entries(): string[] {
    try {
      return listNames(this.#layout.layersDir);
    } catch (error) {
      throw fromOsError(error, "list the layers");
    }
  }

  /** Takes the layers out whose stack is not whole. */
  #takeUnsupported(layers: Map<ChainId, LayerRecord>): BrokenLayer[] {
    return [...findChainFaults(layers)].map(([chainId, fault]) => {
      const { cacheId, parent } = layers.get(chainId) ?? {};
      layers.delete(chainId);
      return {
        ...layerFinding("broken", chainId, {
          path: this.#layout.layerDir(chainId),
          error: chainError(chainId, fault),
        }),
        chainId,
        ...(cacheId === undefined ? {} : { cacheId }),
        ...(parent === undefined ? {} : { parent }),
      };
    });
  }

  #moveAside(chainId: ChainId): string {
    for (;;) {
      const path = `${this.#layout.layersDir}/${digestHex(chainId)}-${randomId()}-removing`;
      try {
        renamePath(this.#layout.layerDir(chainId), path, { replace: "never" });
        return path;
      } catch (error) {
        if (!hasErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
      }
    }
  }

  #sync(): void {
    if (this.#durability === "full") syncDir(this.#layout.layersDir);
  }
}

function useOf(child: ChainId, parent: ChainId): LayerUse {
  return { kind: "layer", chainId: parent, who: child };
}

function isDirectory(path: string): boolean {
  return typeAt(path) === "dir";
}
