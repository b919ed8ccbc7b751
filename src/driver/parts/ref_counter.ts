// SPDX-License-Identifier: Apache-2.0
/**
 * How often each mount is in use, inside one process; for drivers whose `get` and `put` may be called by several.
 *
 * The kernel is right and the count is a note. A mount that is found at the first use is somebody's already, and counts as
 * one; a count whose mount is gone begins again at 0 (containers/storage, drivers/counter.go). What is used by many
 * processes is counted by the store, under a lock; see `src/ARCHITECTURE.md`.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { type Checker, DEFAULT_CHECKER } from "./checker.ts";

/** Taking a mount. */
export interface RefCounterGetOptions {
  /** Mounts; called when the count becomes 1. When it fails, nothing was counted. */
  readonly whenFirst?: () => void | Promise<void>;
}

/** Giving a mount back. */
export interface RefCounterPutOptions {
  /** Unmounts; called when the count becomes 0 and the mount is there. When it fails, the count stays. */
  readonly whenLast?: () => void | Promise<void>;
}

/** Counts the users of mounts, by path. Calls on one path run one after the other. */
export class RefCounter {
  readonly #checker: Checker;
  readonly #counts = new Map<string, number>();
  readonly #queues = new Map<string, Promise<unknown>>();

  /**
   * Counts nothing yet.
   * @param checker tells what is mounted; absent: whatever the table of mounts has
   */
  constructor(checker: Checker = DEFAULT_CHECKER) {
    this.#checker = checker;
  }

  /** How often a path is in use, as the kernel confirms it. */
  count(path: string): number {
    if (!this.#checker.isMounted(path)) return 0;
    return this.#counts.get(path) ?? 1;
  }

  /**
   * One user more.
   * @returns the new count
   * @throws whatever `whenFirst` throws
   */
  get(path: string, { whenFirst }: RefCounterGetOptions = {}): Promise<number> {
    return this.#queued(path, async () => {
      const count = this.count(path) + 1;
      if (count === 1) await whenFirst?.();
      this.#counts.set(path, count);
      return count;
    });
  }

  /**
   * One user less.
   * @returns the new count, never negative
   * @throws {StrataError} `NOT_FOUND` when nobody uses the path and nothing is mounted there; whatever `whenLast` throws
   */
  put(path: string, { whenLast }: RefCounterPutOptions = {}): Promise<number> {
    return this.#queued(path, async () => {
      const count = this.count(path);
      if (count === 0 && !this.#counts.delete(path)) throw notInUse(path);
      if (count === 1) await whenLast?.();
      if (count > 1) this.#counts.set(path, count - 1);
      else this.#counts.delete(path);
      return Math.max(0, count - 1);
    });
  }

  async #queued<T>(path: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.#queues.get(path) ?? Promise.resolve()).then(act, act);
    this.#queues.set(path, turn);
    try {
      return await turn;
    } finally {
      if (this.#queues.get(path) === turn) this.#queues.delete(path);
    }
  }
}

function notInUse(path: string): StrataError<"NOT_FOUND"> {
  return new StrataError("NOT_FOUND", `Cannot put "${path}": nobody uses it, and nothing is mounted there`, {
    kind: "mount",
    ref: path,
  });
}
