// SPDX-License-Identifier: Apache-2.0
/**
 * Turns: of several calls for one place, one runs at a time. Looking whether something is mounted and mounting it are two
 * steps, and another caller in this thread may come in between.
 *
 * @module
 */

const last = new Map<string, Promise<unknown>>();

/** Calls once all earlier calls for the same place have ended, however they ended. */
export async function inTurn<T>(place: string, act: () => Promise<T>): Promise<T> {
  const turn = (last.get(place) ?? Promise.resolve()).then(act, act);
  last.set(place, turn);
  try {
    return await turn;
  } finally {
    if (last.get(place) === turn) last.delete(place);
  }
}
