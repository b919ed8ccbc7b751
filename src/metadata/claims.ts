// SPDX-License-Identifier: Apache-2.0
/**
 * Claims: "I am at work on this", between processes and between the operations of one.
 *
 *   strata/claims/layer-<hex of the ChainID>  a layer is being made; who wants the same one waits, and then finds it
 *   strata/claims/blob-<hex>                  the same for a blob on a parent, where the layer's identity is not known yet
 *   strata/claims/dir-<cache id>              a directory of the driver that no record names, yet or any more
 *
 * A claim is an flock(2) on a file, so that it ends with its holder, however that ends: then the next in line takes over.
 * The file is removed with the claim; what a killed process leaves is garbage for gc, and claims nothing.
 *
 * Waiting cannot run in a circle. Whoever claims several layers claims them along one chain, bottom first, so each waits
 * only for a layer that lies higher than all it has claimed; a circle of waiting would have to climb for ever. A blob's
 * claim stands for a layer of known height, and is the last that its holder takes. Claims are never waited for under the
 * write lock.
 *
 * @module
 */
import { type ChainId, type Digest, digestHex, digestOf } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { acquireLock, type FileLock, isLocked, tryLock } from "../host/file_lock.ts";
import { ensureDir, listNames, removeTreeAt } from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";

declare const claimName: unique symbol;
/** What is claimed, as the name of a file. */
export type ClaimName = string & { readonly [claimName]: true };

/** Waiting ends with the other's work or with the signal, not with the time: layers may take minutes. */
const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** The claim on making a layer. */
export function layerClaim(chainId: ChainId): ClaimName {
  return `layer-${digestHex(chainId)}` as ClaimName;
}

/** The claim on making a layer out of a blob. */
export function blobClaim(parent: ChainId | undefined, blob: Digest): ClaimName {
  return `blob-${digestHex(digestOf(`${parent ?? ""} ${blob}`))}` as ClaimName;
}

/** The claim on a directory of the driver; one claim covers a writable layer's two. */
export function directoryClaim(id: CacheId): ClaimName {
  return `dir-${id.replace(/-init$/, "")}` as ClaimName;
}

/** Something that is claimed. Disposing of it gives it free. */
export class Claim implements Disposable {
  readonly #lock: FileLock;

  /** Use {@link Claims.take} or {@link Claims.tryTake}. */
  constructor(lock: FileLock) {
    this.#lock = lock;
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
    try {
      ensureDir(this.#layout.claimsDir, 0o700);
      return new Claim(await acquireLock(this.#path(name), { kind: "exclusive", timeoutMs: FOR_EVER, signal }));
    } catch (error) {
      throw fromOsError(error, `claim "${name}"`);
    }
  }

  /** Claims what is free; `undefined` when another has it. */
  tryTake(name: ClaimName): Claim | undefined {
    try {
      ensureDir(this.#layout.claimsDir, 0o700);
      const lock = tryLock(this.#path(name), "exclusive");
      return lock && new Claim(lock);
    } catch (error) {
      throw fromOsError(error, `claim "${name}"`);
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

  #path(name: ClaimName): string {
    return `${this.#layout.claimsDir}/${name}`;
  }
}
