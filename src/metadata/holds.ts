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
 * A hold is added without the write lock, while another process may be about to remove the very layer. So whoever removes
 * announces it first, and both look for the other after they have made themselves seen:
 *
 *   who holds      writes its hold · waits while a removal of the layer is announced · reads the record
 *   who removes    locks the store · announces · reads the holds · withdraws what nobody holds · takes the notice back
 *
 * Either the hold was written before the holds were read, and the layer stays; or it was written later, hence after the
 * announcement, and the holder waits until the removal is over and sees no record. A record that is read after
 * {@link Holds.add} has returned is therefore true for as long as the hold lasts. A notice is believed while its lock is
 * held, so a remover that dies keeps nobody waiting; inside one process nobody ever waits, since removers do not pause
 * between the announcement and its end.
 *
 *   strata/holds/removing, removing.lock  the notice, in the same form; the write lock sees to it that there is one
 *
 * @module
 */
import process from "node:process";
import { type ChainId, parseChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import { writeFileAtomic } from "../host/durable.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { type FileLock, isLocked, tryLock } from "../host/file_lock.ts";
import { ensureDir, listNames, pathExists, readText, removeTreeAt } from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";
import { lockOwnFile } from "./own_lock.ts";
import { attempt } from "./record_file.ts";
import { fromWriteError } from "./root_access.ts";
import type { WriteLock } from "./write_lock.ts";

const LOCK_SUFFIX = ".lock";
const REMOVING = "removing";
/** How long to wait for a removal, which takes milliseconds, and how long between two looks. */
const REMOVAL_MS_MAX = 30_000;
const LOOK_PAUSE_MS = 1;
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

  /**
   * Holds a layer once more. Layers below it need no hold of their own. What is read of the layer afterwards stays true.
   * @throws {StrataError} `LOCKED` when a removal of the layer does not end; failures to write the hold
   */
  add(chainId: ChainId): void {
    const count = this.#counts.get(chainId) ?? 0;
    this.#counts.set(chainId, count + 1);
    if (count > 0) return;
    try {
      this.#publish();
      this.#waitForRemoval(chainId);
    } catch (error) {
      this.#counts.delete(chainId);
      throw fromWriteError(error, { root: this.#layout.root, doing: `hold layer ${chainId}` });
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

  /**
   * Tells others which layers are about to be removed: until it is disposed of, those who newly hold one of them wait.
   * To be followed by {@link Holds.liveHolds}, the removal and the disposal, without a pause between.
   *
   * On a full disk nothing can be announced; nor can a new hold be written there.
   */
  announceRemoval(lock: WriteLock, chainIds: readonly ChainId[]): Disposable {
    lock.assertCovers(this.#layout);
    const path = this.#path(REMOVING);
    try {
      ensureDir(this.#layout.holdsDir, 0o700);
      const file = lockOwnFile(path + LOCK_SUFFIX);
      const end = () => {
        removeTreeAt(path);
        removeTreeAt(file.path);
        file.release();
      };
      try {
        writeFileAtomic(path, textOf(chainIds), { mode: 0o600, durability: "none" });
        return { [Symbol.dispose]: end };
      } catch (error) {
        end();
        throw error;
      }
    } catch (error) {
      if (!hasErrno(error, "ENOSPC", "EDQUOT")) throw fromOsError(error, "announce the removal of layers");
      return { [Symbol.dispose]: () => {} };
    }
  }

  /** The holds of ended processes. */
  dead(): string[] {
    const others = this.#names().filter((name) => name !== this.#name);
    const notices = pathExists(this.#path(REMOVING) + LOCK_SUFFIX) ? [REMOVING] : [];
    return [...others, ...notices].filter((name) => !isLocked(this.#path(name) + LOCK_SUFFIX));
  }

  /** Removes what ended processes left. For gc: merely opening a store removes nothing (I8). */
  removeDead(): string[] {
    return this.dead().filter((name) => this.#removeIfDead(name));
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
    writeFileAtomic(this.#path(this.#name), textOf(this.#counts.keys()), { mode: 0o600, durability: "none" });
  }

  /** Waits without giving others of this process a turn: a handle is given at once, or not at all. */
  #waitForRemoval(chainId: ChainId): void {
    const deadline = Date.now() + REMOVAL_MS_MAX;
    while (this.#read(REMOVING).includes(chainId) && isLocked(this.#path(REMOVING) + LOCK_SUFFIX)) {
      if (Date.now() > deadline) throw stuckRemoval(chainId, this.#path(REMOVING));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_PAUSE_MS);
    }
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

function textOf(chainIds: Iterable<ChainId>): string {
  return Array.from(chainIds, (chainId) => `${chainId}\n`).join("");
}

function stuckRemoval(chainId: ChainId, path: string): StrataError<"LOCKED"> {
  return new StrataError(
    "LOCKED",
    `Cannot hold layer ${chainId}: another process has been removing it for ${
      REMOVAL_MS_MAX / 1000
    } s; end that process`,
    { path },
  );
}
