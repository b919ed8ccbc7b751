// SPDX-License-Identifier: Apache-2.0
/**
 * User namespaces from within: whether this process is in one, and which ids it can give to files.
 *
 * Inside one an ordinary user is root, and may mount overlays; but only ids that are mapped can own files there.
 * user_namespaces(7), "User and group ID mappings: uid_map and gid_map".
 *
 * @module
 */
import { readText } from "../files.ts";
import type { ProcessIdentity } from "../process.ts";

/** A run of ids of a namespace, and of the ids they are outside. */
export interface MappedIds {
  /** The first id inside. */
  readonly inside: number;
  /** The first id outside. */
  readonly outside: number;
  readonly count: number;
}

/**
 * Names, to all that runs in a namespace, the process that made it and that ends with it. Its mount namespace is another
 * than that of every other such process.
 */
export const NAMESPACE_VARIABLE = "STRATA_USER_NAMESPACE";

/** The initial namespace maps all ids to themselves, but for -1, which is none. */
const ALL_IDS = 2 ** 32 - 1;

/** Whether this process is in a user namespace other than the machine's first. Where there are no namespaces, it is not. */
export function inUserNamespace(): boolean {
  const ids = mappedUsers();
  if (ids.length !== 1) return ids.length > 1;
  const [{ inside, outside, count } = { inside: 0, outside: 0, count: ALL_IDS }] = ids;
  return inside !== 0 || outside !== 0 || count !== ALL_IDS;
}

/** The process that made the namespace that this one is in; `undefined` outside, and when something else made it. */
export function namespaceMaker(environment: Readonly<Record<string, string | undefined>>): ProcessIdentity | undefined {
  const [, pid, startTime] = /^(\d+)-(\d+)$/.exec(environment[NAMESPACE_VARIABLE] ?? "") ?? [];
  if (pid === undefined || startTime === undefined || !inUserNamespace()) return undefined;
  return { pid: Number(pid), startTime: Number(startTime) };
}

/** Whether files can belong to one user only here: to whoever runs this. */
export function hasSingleUser(): boolean {
  const ids = mappedUsers();
  return ids.length === 1 && ids[0]?.count === 1;
}

/** The user ids of this process's namespace. */
export function mappedUsers(): MappedIds[] {
  return parseIdMap(readText("/proc/self/uid_map") ?? "");
}

/** The runs in a text of the form of `/proc/self/uid_map`. */
export function parseIdMap(text: string): MappedIds[] {
  return text.split("\n").flatMap((line) => {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
    return inside === undefined || outside === undefined || count === undefined ? [] : [{ inside, outside, count }];
  });
}
