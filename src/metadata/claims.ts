// SPDX-License-Identifier: Apache-2.0
/**
 * Claims: "I am at work on this", between processes and between the operations of one.
 *
 *   strata/claims/layer-<hex of the ChainID>  a layer is being made; who wants the same one waits, and then finds it
 *   strata/claims/blob-<hex>                  the same for a blob on a parent, where the layer's identity is not known yet
 *   strata/claims/head-<hex>                  the same for a stream that begins so, where nothing else is known of it
 *   strata/claims/record-<id>                a catalog record is being made or removed, with what is its own
 *   strata/claims/dir-<cache id>              a directory of the driver that no record names, yet or any more
 *
 * A claim is an flock(2) on a file, so that it ends with its holder, however that ends: then the next in line takes over.
 * The file is removed with the claim; what a killed process leaves is garbage for gc, and claims nothing.
 *
 * Waiting cannot run in a circle. Whoever claims several layers claims them along one chain, bottom first, so each waits
 * only for a layer that lies higher than all it has claimed; a circle of waiting would have to climb for ever. A blob's
 * claim stands for a layer of known height, and is the last that its holder takes. Directories come after all these, bottom
 * first again; their holders wait for no other kind. Claims are never waited for under the write lock.
 *
 * @module
 */
import { type ChainId, type Digest, digestHex, digestOf } from "../core/digest.ts";
import { hasCode } from "../core/errors.ts";
import type { CacheId, RecordId } from "../core/ids.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { acquireLock, type FileLock, isLocked, tryLock } from "../host/file_lock.ts";
import { ensureDir, listNames, removeTreeAt, statPath } from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";
import { fromWriteError } from "./root_access.ts";

declare const claimName: unique symbol;
/** What is claimed, as the name of a file. */
export type ClaimName = string & { readonly [claimName]: true };

/** Waiting ends with the other's work or with the signal, not with the time: layers may take minutes. */
const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** A holder touches its claim this often, and is taken for idle after this long. Milliseconds. */
const TOUCH_MS = 1000;
const IDLE_MS = 10_000;
/** Between two looks whether the holder is idle. Milliseconds. */
const FOLLOW_MS = 250;

/** The claim on making a layer. */
export function layerClaim(chainId: ChainId): ClaimName {
  return `layer-${digestHex(chainId)}` as ClaimName;
}

/** The claim on making a layer out of a blob. */
export function blobClaim(parent: ChainId | undefined, blob: Digest): ClaimName {
  return `blob-${digestHex(digestOf(`${parent ?? ""} ${blob}`))}` as ClaimName;
}

/** The claim on making a layer out of a stream of which only the beginning is known. */
export function headClaim(parent: ChainId | undefined, head: Digest): ClaimName {
  return `head-${digestHex(digestOf(`${parent ?? ""} ${head}`))}` as ClaimName;
}

/** The claim on a catalog record, with its writable layer. */
export function recordClaim(id: RecordId): ClaimName {
  return `record-${id}` as ClaimName;
}

/** The claim on a directory of the driver; one claim covers a writable layer's two. */
export function directoryClaim(id: CacheId): ClaimName {
  return `dir-${id.replace(/-init$/, "")}` as ClaimName;
}

/** Something that is claimed. Disposing of it gives it free. */
export class Claim implements Disposable {
  readonly #lock: FileLock;
  #touchedMs = Date.now();

  /** Use {@link Claims.take} or {@link Claims.tryTake}. */
  constructor(lock: FileLock) {
    this.#lock = lock;
  }

  /** Tells those who {@link Claims.follow} that the work goes on. Often is cheap: the file is touched once a second. */
  touch(): void {
    if (Date.now() - this.#touchedMs < TOUCH_MS) return;
    this.#touchedMs = Date.now();
    this.#lock.touch();
  }

  /** Removes the file while it is locked: who waits for it sees that, and makes the next one. */
  [Symbol.dispose](): void {
    try {
      removeTreeAt(this.#lock.path);
    } finally {
      this.#lock.release();
    }
  }
}

/** The claims on one store. */
export class Claims {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  /**
   * Claims, waiting for whoever has it.
   * @throws {StrataError} `ABORTED` when the signal fires
   */
  async take(name: ClaimName, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<Claim> {
    for (;;) {
      const claim = await this.#takeWithin(FOR_EVER, name, signal);
      if (claim !== undefined) return claim;
    }
  }

  /**
   * Claims, waiting for whoever has it as long as that one is seen to work; `undefined` when it has not called
   * {@link Claim.touch} for a while. What is claimed on a guess must not wait for a source that is silent for ever.
   * @throws {StrataError} `ABORTED` when the signal fires
   */
  async follow(
    name: ClaimName,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Claim | undefined> {
    for (;;) {
      const claim = await this.#takeWithin(FOLLOW_MS, name, signal);
      if (claim !== undefined || this.#isIdle(name)) return claim;
    }
  }

  /** Claims what is free; `undefined` when another has it. */
  tryTake(name: ClaimName): Claim | undefined {
    try {
      ensureDir(this.#layout.claimsDir, 0o700);
      const lock = tryLock(this.#path(name), "exclusive");
      return lock && new Claim(lock);
    } catch (error) {
      throw fromWriteError(error, { root: this.#layout.root, doing: `claim "${name}"` });
    }
  }

  /** Whether somebody has it. */
  isTaken(name: ClaimName): boolean {
    return isLocked(this.#path(name));
  }

  /** The files that ended processes left. */
  dead(): string[] {
    try {
      return listNames(this.#layout.claimsDir).filter((name) => !isLocked(`${this.#layout.claimsDir}/${name}`));
    } catch (error) {
      throw fromOsError(error, "list the claims");
    }
  }

  /** Removes a file of {@link Claims.dead}, unless somebody has claimed it since. */
  removeIfDead(name: string): "removed" | "live" {
    try {
      const lock = tryLock(`${this.#layout.claimsDir}/${name}`, "exclusive");
      if (lock === undefined) return "live";
      new Claim(lock)[Symbol.dispose]();
      return "removed";
    } catch (error) {
      if (hasErrno(error, "ENOENT")) return "removed";
      throw fromOsError(error, `remove the claim "${name}"`);
    }
  }

  async #takeWithin(timeoutMs: number, name: ClaimName, signal: AbortSignal | undefined): Promise<Claim | undefined> {
    try {
      ensureDir(this.#layout.claimsDir, 0o700);
      return new Claim(await acquireLock(this.#path(name), { kind: "exclusive", timeoutMs, signal }));
    } catch (error) {
      if (hasCode(error, "LOCKED")) return undefined;
      throw fromWriteError(error, { root: this.#layout.root, doing: `claim "${name}"` });
    }
  }

  #isIdle(name: ClaimName): boolean {
    const touched = statPath(this.#path(name))?.mtime;
    return touched !== undefined && Date.now() - touched.sec * 1000 > IDLE_MS;
  }

  #path(name: ClaimName): string {
    return `${this.#layout.claimsDir}/${name}`;
  }
}
