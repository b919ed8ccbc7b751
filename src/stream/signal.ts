// SPDX-License-Identifier: Apache-2.0
/**
 * Abort signals: how a caller's wish to stop becomes this package's `ABORTED`, even while a source is silent.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";

/**
 * Returns when the signal has not fired.
 * @throws {StrataError} `ABORTED` when it has
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

/** The error that a fired signal stands for; its reason is the cause. */
export function abortedError(signal: AbortSignal): StrataError<"ABORTED"> {
  return new StrataError("ABORTED", "Cannot finish: the caller aborted the operation", {}, { cause: signal.reason });
}

/**
 * The same items, until the signal fires: then `ABORTED`, at once, also while the source owes an item. The source is
 * closed in every case, but only waited for when it owes nothing, since a silent one would hold up the error.
 * @throws {StrataError} `ABORTED`
 */
export async function* abortable<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T> {
  if (signal === undefined) return yield* source;
  const iterator = source[Symbol.asyncIterator]();
  let isIdle = true;
  try {
    for (;;) {
      throwIfAborted(signal);
      isIdle = false;
      const next = await orAborted(iterator.next(), signal);
      if (next.done) return;
      isIdle = true;
      yield next.value;
    }
  } finally {
    if (isIdle) await iterator.return?.();
    else if (signal.aborted) iterator.return?.().catch(() => {});
  }
}

/**
 * What the work gives, or `ABORTED` as soon as the signal fires; the work itself goes on, and its end is not waited for.
 * Not `Promise.race`: that would leave a reaction on a long-lived promise for every item.
 * @throws {StrataError} `ABORTED`
 */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(abortedError(signal));
    const onAbort = () => reject(abortedError(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
