// SPDX-License-Identifier: Apache-2.0
/**
 * The subordinate ids of a user: ids that are nobody else's, which the user may give to files inside a user namespace.
 *
 * Formats: subuid(5), subgid(5): `user:first:count`, the user by name or by number. What cannot be read is passed over, as
 * newuidmap(1) does; so are runs that overlap one before them, since the kernel refuses a map with them.
 *
 * @module
 */
import { userInfo } from "node:os";
import { readText } from "../files.ts";
import type { MappedIds } from "./user_namespace.ts";

/** A run of ids. */
export interface IdRun {
  readonly first: number;
  readonly count: number;
}

/** A user, as the files of subordinate ids name it. */
export interface UserIdentity {
  readonly uid: number;
  readonly gid: number;
  /** Absent for a user that the machine does not list. */
  readonly name?: string;
}

/** The subordinate ids of one user, for both kinds. */
export interface SubordinateIds {
  readonly uids: readonly IdRun[];
  readonly gids: readonly IdRun[];
}

/** Runs of one map. The kernel takes 340, and 4096 bytes of text; nobody has more than a few. user_namespaces(7). */
const RUNS_MAX = 64;
/** 2^32-1 is no id. */
const ID_MAX = 2 ** 32 - 2;

/** Who runs this process. */
export function currentUser(): UserIdentity {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  try {
    return { uid, gid, name: userInfo().username };
  } catch {
    return { uid, gid };
  }
}

/** The user's subordinate ids; `undefined` when there are none of one kind, since a namespace needs both. */
export function subordinateIds(user: UserIdentity): SubordinateIds | undefined {
  const uids = parseSubordinateIds(readText("/etc/subuid", { symlink: "follow" }) ?? "", { ...user, own: user.uid });
  const gids = parseSubordinateIds(readText("/etc/subgid", { symlink: "follow" }) ?? "", { ...user, own: user.gid });
  return uids.length > 0 && gids.length > 0 ? { uids, gids } : undefined;
}

/** The runs that a text of this form gives a user; none of them holds the user's own id, which is mapped by itself. */
export function parseSubordinateIds(
  text: string,
  user: { readonly uid: number; readonly name?: string; readonly own: number },
): IdRun[] {
  const runs: IdRun[] = [];
  for (const line of text.split("\n")) {
    const [owner, ...numbers] = line.trim().split(":");
    if (owner !== user.name && owner !== String(user.uid)) continue;
    const run = parseRun(numbers);
    if (run === undefined || runs.length === RUNS_MAX) continue;
    if (![...runs, { first: user.own, count: 1 }].some((other) => overlap(run, other))) runs.push(run);
  }
  return runs;
}

/** A map in which the user's own id is 0, and the subordinate ones follow without gaps. */
export function rootMap(own: number, runs: readonly IdRun[]): MappedIds[] {
  const map: MappedIds[] = [{ inside: 0, outside: own, count: 1 }];
  let inside = 1;
  for (const { first, count } of runs) {
    map.push({ inside, outside: first, count });
    inside += count;
  }
  return map;
}

function parseRun(numbers: readonly string[]): IdRun | undefined {
  if (numbers.length !== 2 || !numbers.every((number) => /^\d{1,10}$/.test(number))) return undefined;
  const [first = 0, count = 0] = numbers.map(Number);
  return count > 0 && first + count - 1 <= ID_MAX ? { first, count } : undefined;
}

function overlap(a: IdRun, b: IdRun): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}
