// SPDX-License-Identifier: Apache-2.0
/**
 * Holds: the layers that a running process uses, for gc in other processes (D4).
 *
 *   strata/holds/<pid>-<random>       the ChainIDs, one per line; replaced as a whole when they change
 *   strata/holds/<pid>-<random>.lock  locked for as long as the process uses them
 *
 * The two are apart because the list must never be read half-written, and replacing a file loses its lock. The kernel
 * frees the lock when the process ends, however it ends; what is left then is garbage for gc. Nothing here is synced:
 * a hold does not outlive its process.
 *
 * A hold protects a layer from a gc that looks later. So it is added under the write lock, with the layer read under
 * the same lock; gc looks at the holds under that lock, too.
 *
 * @module
 */
import process from "node:process";
import { type ChainId, parseChainId } from "../core/digest.ts";
import { randomId } from "../core/ids.ts";
import { writeFileAtomic } from "../host/durable.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { type FileLock, isLocked, tryLock } from "../host/file_lock.ts";
import { ensureDir, listNames, readText, removeTreeAt } from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";
import { lockOwnFile } from "./own_lock.ts";
import { attempt } from "./record_file.ts";

const LOCK_SUFFIX = ".lock";
/** The files of holds, without and with the suffix; temporary files are none. */
const HOLD_NAME = /^[0-9]+-[0-9a-f]+$/;

/** This process's holds on one store's layers, and a view of the others'. */
export class Holds implements Disposable {
  readonly #layout: StoreLayout;
  readonly #mayWrite: () => boolean;
  readonly #name = `${process.pid}-${randomId().slice(0, 16)}`;
  readonly #counts = new Map<ChainId, number>();
  #lock: FileLock | undefined;

  /**
   * @param options `mayWrite`: asked before each write; while it says no, holds are counted here, and others do not see
   *   them. The next change after that makes them visible.
   */
  constructor(layout: StoreLayout, { mayWrite = () => true }: { readonly mayWrite?: () => boolean } = {}) {
    this.#layout = layout;
    this.#mayWrite = mayWrite;
  }

  /** Holds a layer once more. Layers below it need no hold of their own. */
  add(chainId: ChainId): void {
    const count = this.#counts.get(chainId) ?? 0;
    this.#counts.set(chainId, count + 1);
    if (count > 0) return;
    try {
      this.#publish();
    } catch (error) {
      this.#counts.delete(chainId);
      throw fromOsError(error, `hold layer ${chainId}`);
    }
  }

  /** Drops one hold of a layer; without one, nothing happens. */
  remove(chainId: ChainId): void {
    const count = this.#counts.get(chainId) ?? 0;
    if (count === 0) return;
    if (count > 1) {
      this.#counts.set(chainId, count - 1);
      return;
    }
    this.#counts.delete(chainId);
    try {
      this.#publish();
    } catch (error) {
      // A list that still names the layer keeps it from others for a while; an error would keep a full disk full.
      if (!hasErrno(error, "ENOSPC", "EDQUOT")) throw fromOsError(error, `drop the hold of layer ${chainId}`);
    }
  }

  /** How often this object holds a layer. */
  countOf(chainId: ChainId): number {
    return this.#counts.get(chainId) ?? 0;
  }

  /** The layers that others hold, and the names of their holds, which begin with the process number. */
  liveHolds(): Map<ChainId, string[]> {
    const holders = new Map<ChainId, string[]>();
    for (const name of this.#names()) {
      if (name === this.#name) continue;
      // The list is read before the lock is looked at: what was listed while the lock was held, counts.
      const chainIds = this.#read(name);
      if (!isLocked(this.#path(name) + LOCK_SUFFIX)) continue;
      for (const chainId of chainIds) holders.set(chainId, [...holders.get(chainId) ?? [], name]);
    }
    return holders;
  }

  /** Removes what ended processes left. For gc: merely opening a store removes nothing (I8). */
  removeDead(): string[] {
    const dead = this.#names().filter((name) => name !== this.#name && !isLocked(this.#path(name) + LOCK_SUFFIX));
    return dead.filter((name) => this.#removeIfDead(name));
  }

  /** Drops all holds and removes their files. */
  [Symbol.dispose](): void {
    this.#counts.clear();
    if (this.#lock === undefined) return;
    try {
      removeTreeAt(this.#path(this.#name));
      removeTreeAt(this.#lock.path);
    } catch (error) {
      throw fromOsError(error, `remove the holds "${this.#path(this.#name)}"`);
    } finally {
      this.#lock.release();
      this.#lock = undefined;
    }
  }

  /** Locked before it is listed, so that a list without a lock is always a dead process's. */
  #publish(): void {
    if (!this.#mayWrite()) return;
    if (this.#lock === undefined) {
      ensureDir(this.#layout.holdsDir, 0o700);
      this.#lock = lockOwnFile(this.#path(this.#name) + LOCK_SUFFIX);
    }
    const lines = Array.from(this.#counts.keys(), (chainId) => `${chainId}\n`).join("");
    writeFileAtomic(this.#path(this.#name), lines, { mode: 0o600, durability: "none" });
  }

  #removeIfDead(name: string): boolean {
    try {
      using lock = tryLock(this.#path(name) + LOCK_SUFFIX, "exclusive");
      if (lock === undefined) return false;
      removeTreeAt(this.#path(name));
      removeTreeAt(lock.path);
      return true;
    } catch (error) {
      throw fromOsError(error, `remove the dead hold "${name}"`);
    }
  }

  #read(name: string): ChainId[] {
    try {
      const lines = readText(this.#path(name))?.split("\n") ?? [];
      return lines.flatMap((line) => attempt(() => parseChainId(line)) ?? []);
    } catch (error) {
      throw fromOsError(error, `read the hold "${name}"`);
    }
  }

  #names(): string[] {
    try {
      const names = listNames(this.#layout.holdsDir).map((name) => name.replace(/\.lock$/, ""));
      return [...new Set(names)].filter((name) => HOLD_NAME.test(name));
    } catch (error) {
      throw fromOsError(error, "list the holds");
    }
  }

  #path(name: string): string {
    return `${this.#layout.holdsDir}/${name}`;
  }
}
