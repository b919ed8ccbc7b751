// SPDX-License-Identifier: Apache-2.0
/**
 * The store's write lock, as a value that writers must be given.
 *
 * Between processes it is an flock(2) on `strata/lock`; the kernel frees it when its holder dies. Inside a process the
 * waiting stand in a queue, first come first served, and do not poll the file. I7: it is held for a commit, a removal
 * or gc's renames, never while bytes flow.
 *
 * @module
 */
import { dirname } from "node:path";
import { StrataError } from "../core/errors.ts";
import { acquireLock, type FileLock } from "../host/file_lock.ts";
import { ensureDir } from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";
import { fromWriteError } from "./root_access.ts";

declare const held: unique symbol;

/** Proof that the write lock of a store is held. Only {@link withWriteLock} makes one. */
export interface WriteLock {
  readonly [held]: "write";
  /**
   * Guards against a lock that was kept beyond its time, or belongs to another store.
   * @throws {Error} a mistake in this package, not of the user
   */
  assertCovers(layout: StoreLayout): void;
}

/** How the lock is waited for. */
export interface WriteLockOptions {
  /** Milliseconds; 0 tries once. Default {@link LOCK_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Locks are held for milliseconds; a wait of half a minute means that a holder is stuck. */
export const LOCK_TIMEOUT_MS = 30_000;

/** Timers wrap around above this. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The last in each lock file's queue. An entry leaves with the last of its queue. */
const queues = new Map<string, Promise<void>>();

/**
 * Runs `fn` while no one else writes to the store, in this process or another. Not reentrant.
 * @throws {StrataError} `LOCKED` naming the holder, `ABORTED`; whatever `fn` throws
 */
export async function withWriteLock<T>(
  layout: StoreLayout,
  options: WriteLockOptions,
  fn: (lock: WriteLock) => T | Promise<T>,
): Promise<T> {
  const path = layout.lockPath;
  const deadline = Date.now() + (options.timeoutMs ?? LOCK_TIMEOUT_MS);
  const turn = takeTicket(path);
  try {
    await waitForTurn(turn.previous, { path, deadline, signal: options.signal });
    using file = await lockFile(layout, { deadline, signal: options.signal });
    const proof = makeProof(layout, file);
    try {
      return await fn(proof.lock);
    } finally {
      proof.revoke();
    }
  } finally {
    turn.leave();
  }
}

interface WaitOptions {
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
}

interface Ticket {
  /** Settles when all that came earlier have left. */
  readonly previous: Promise<void>;
  leave(): void;
}

function takeTicket(path: string): Ticket {
  const previous = queues.get(path) ?? Promise.resolve();
  let leave = () => {};
  const left = new Promise<void>((resolve) => leave = resolve);
  // Who gives up waiting leaves at once, yet those behind must still wait for those before.
  const last = previous.then(() => left);
  queues.set(path, last);
  void last.then(() => {
    if (queues.get(path) === last) queues.delete(path);
  });
  return { previous, leave };
}

async function waitForTurn(
  previous: Promise<void>,
  { path, deadline, signal }: WaitOptions & { readonly path: string },
): Promise<void> {
  if (signal?.aborted) throw aborted(path, signal.reason);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort = () => {};
  try {
    await Promise.race([
      previous,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(lockedHere(path)), Math.min(TIMER_MS_MAX, Math.max(0, deadline - Date.now())));
        onAbort = () => reject(aborted(path, signal?.reason));
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
    ]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

async function lockFile({ root, lockPath: path }: StoreLayout, { deadline, signal }: WaitOptions): Promise<FileLock> {
  try {
    ensureDir(dirname(path), 0o700);
    return await acquireLock(path, { kind: "exclusive", timeoutMs: Math.max(0, deadline - Date.now()), signal });
  } catch (error) {
    throw fromWriteError(error, { root, doing: "lock the store for writing" });
  }
}

/** The one place that makes a proof. */
function makeProof(layout: StoreLayout, file: FileLock): { lock: WriteLock; revoke(): void } {
  let state: "held" | "released" = "held";
  const proof = {
    assertCovers(used: StoreLayout): void {
      if (state === "released") throw new Error(`Cannot write: the lock on "${file.path}" was released before`);
      if (used.root !== layout.root) {
        throw new Error(`Cannot write to "${used.root}": "${file.path}" is another store's`);
      }
    },
  };
  return {
    lock: proof as WriteLock,
    revoke() {
      state = "released";
    },
  };
}

function lockedHere(path: string): StrataError<"LOCKED"> {
  return new StrataError(
    "LOCKED",
    `Cannot lock "${path}": another operation of this process holds it, and the time to wait is over; try again later`,
    { path, holder: "this process" },
  );
}

function aborted(path: string, cause: unknown): StrataError<"ABORTED"> {
  return new StrataError("ABORTED", `Cannot lock "${path}": the operation was aborted`, {}, { cause });
}
