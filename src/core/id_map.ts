// SPDX-License-Identifier: Apache-2.0
/**
 * Which user and group of the host stands for which one of a container.
 *
 * A map is a list of ranges. An empty one is the identity. Ids that no range holds have no counterpart: to write them
 * down under another number would give files away, so that is an error, unless the kernel's overflow ids are asked for.
 * No id is special: a container's id that equals the host id of the container's root is mapped like any other.
 *
 * Semantics: user_namespaces(7); the form `container:host:size` and the root of a map of one id are those of
 * containers/storage.
 *
 * @module
 */
import { StrataError } from "./errors.ts";

/** A range of ids: `containerId + n` in the container is `hostId + n` on the host, for every `n` below `size`. */
export interface IdMap {
  /** First id in the container. */
  readonly containerId: number;
  /** First id on the host. */
  readonly hostId: number;
  /** How many ids. */
  readonly size: number;
}

/** The maps of users and of groups. Plain data; {@link checkIdMappings} tells whether it makes sense. */
export interface IdMappings {
  /** Empty: users keep their ids. */
  readonly uids: readonly IdMap[];
  /** Empty: groups keep their ids. */
  readonly gids: readonly IdMap[];
}

/** Who owns an object. */
export interface IdPair {
  /** User. */
  readonly uid: number;
  /** Group. */
  readonly gid: number;
}

/** How ids become others. Both throw a {@link StrataError} `INVALID_ARGUMENT` for an id without a counterpart. */
export interface IdShift {
  /** What a user becomes. */
  uid(id: number): number;
  /** What a group becomes. */
  gid(id: number): number;
}

/** Leaves all ids as they are. */
export const NO_SHIFT: IdShift = { uid: (id) => id, gid: (id) => id };
/** Who owns what nobody said an owner for. */
export const ROOT_OWNER: IdPair = { uid: 0, gid: 0 };
/** Every id stands for itself. */
export const IDENTITY: IdMappings = { uids: [], gids: [] };
/** The largest id that a file can have: 2^32-1 means "leave it as it is" to chown(2). */
export const ID_MAX = 0xffff_fffe;
/** Ranges of one map: what the kernel takes for a user namespace. user_namespaces(7). */
export const ID_RANGES_MAX = 340;

/**
 * A map as people write it: `container:host:size`, further ranges after further colons.
 * @throws {StrataError} `INVALID_ARGUMENT` for another form, for ids beyond 32 bits, and for ranges that overlap
 */
export function parseIdMap(text: string): readonly IdMap[] {
  return parseIdMapList([text]);
}

/**
 * A map given in pieces, each in the form of {@link parseIdMap}; no piece at all is the identity.
 * @throws {StrataError} `INVALID_ARGUMENT` as {@link parseIdMap}
 */
export function parseIdMapList(texts: readonly string[]): readonly IdMap[] {
  return checkedIdMap(texts.flatMap(parseRanges));
}

/** The form that {@link parseIdMap} reads. */
export function formatIdMap(map: readonly IdMap[]): string {
  return map.map(({ containerId, hostId, size }) => `${containerId}:${hostId}:${size}`).join(":");
}

/**
 * Maps that came as plain data, looked over.
 * @throws {StrataError} `INVALID_ARGUMENT` when a range is empty, leaves 32 bits, or overlaps another on either side
 */
export function checkIdMappings(mappings: IdMappings): IdMappings {
  checkedIdMap(mappings.uids);
  checkedIdMap(mappings.gids);
  return mappings;
}

/** Whether every id stands for itself. */
export function isIdentity(mappings: IdMappings): boolean {
  return [...mappings.uids, ...mappings.gids].length === 0;
}

/** Whether two maps have the same ranges in the same order. */
export function sameIdMappings(a: IdMappings, b: IdMappings): boolean {
  return formatIdMap(a.uids) === formatIdMap(b.uids) && formatIdMap(a.gids) === formatIdMap(b.gids);
}

/** The host's id for a container's; `undefined` when there is none. */
export function findHostId(map: readonly IdMap[], containerId: number): number | undefined {
  if (map.length === 0) return containerId;
  const range = map.find((range) => containerId >= range.containerId && containerId < range.containerId + range.size);
  return range && range.hostId + (containerId - range.containerId);
}

/** The container's id for a host's; `undefined` when there is none. */
export function findContainerId(map: readonly IdMap[], hostId: number): number | undefined {
  if (map.length === 0) return hostId;
  const range = map.find((range) => hostId >= range.hostId && hostId < range.hostId + range.size);
  return range && range.containerId + (hostId - range.hostId);
}

/** From the container's ids to the host's. */
export function hostShift({ uids, gids }: IdMappings): IdShift {
  return {
    uid: (id) => findHostId(uids, id) ?? refuseMiss("container user", id, uids),
    gid: (id) => findHostId(gids, id) ?? refuseMiss("container group", id, gids),
  };
}

/** From the host's ids to the container's. */
export function containerShift({ uids, gids }: IdMappings): IdShift {
  return {
    uid: (id) => findContainerId(uids, id) ?? refuseMiss("host user", id, uids),
    gid: (id) => findContainerId(gids, id) ?? refuseMiss("host group", id, gids),
  };
}

/** One shift after the other. */
export function chainShifts(first: IdShift, second: IdShift): IdShift {
  return { uid: (id) => second.uid(first.uid(id)), gid: (id) => second.gid(first.gid(id)) };
}

/** What an owner becomes. */
export function shiftOwner(shift: IdShift, owner: IdPair): IdPair {
  return { uid: shift.uid(owner.uid), gid: shift.gid(owner.gid) };
}

/**
 * The host's owner for a container's.
 * @throws {StrataError} `INVALID_ARGUMENT` for an owner that the maps do not hold
 */
export function toHost(mappings: IdMappings, owner: IdPair): IdPair {
  return shiftOwner(hostShift(mappings), owner);
}

/**
 * The container's owner for a host's.
 * @throws {StrataError} `INVALID_ARGUMENT` for an owner that the maps do not hold
 */
export function toContainer(mappings: IdMappings, owner: IdPair): IdPair {
  return shiftOwner(containerShift(mappings), owner);
}

/** As {@link hostShift}; what the maps do not hold becomes the overflow id, as the kernel shows it in a user namespace. */
export function hostShiftOverflow({ uids, gids }: IdMappings, overflow: IdPair): IdShift {
  return {
    uid: (id) => findHostId(uids, id) ?? overflow.uid,
    gid: (id) => findHostId(gids, id) ?? overflow.gid,
  };
}

/**
 * The host's owner for the container's root. A map of a single id squashes everybody to that id, root too.
 * @throws {StrataError} `INVALID_ARGUMENT` for larger maps without the id 0
 */
export function rootPair(mappings: IdMappings): IdPair {
  const rootOf = (map: readonly IdMap[]) => map.length === 1 && map[0]?.size === 1 ? map[0].hostId : findHostId(map, 0);
  return {
    uid: rootOf(mappings.uids) ?? refuseMiss("container user", 0, mappings.uids),
    gid: rootOf(mappings.gids) ?? refuseMiss("container group", 0, mappings.gids),
  };
}

/** Whether both maps, sorted, are without holes on either side, and in the same order on both. */
export function isContiguous(mappings: IdMappings): boolean {
  return [mappings.uids, mappings.gids].every((map) => {
    const sorted = [...map].sort((a, b) => a.hostId - b.hostId);
    return sorted.every((range, i) => {
      const before = sorted[i - 1];
      return before === undefined ||
        (before.hostId + before.size === range.hostId && before.containerId + before.size === range.containerId);
    });
  });
}

const RANGE_FIELDS = 3;
const UINT32 = /^(?:0|[1-9][0-9]{0,9})$/;

function parseRanges(text: string): IdMap[] {
  const fields = text.split(":");
  if (fields.length % RANGE_FIELDS !== 0 || !fields.every((field) => UINT32.test(field))) {
    refuse(`"${text.slice(0, 100)}" does not have the form "container:host:size", three numbers for each range`);
  }
  const numbers = fields.map(Number);
  return Array.from({ length: numbers.length / RANGE_FIELDS }, (_, i) => {
    const [containerId = 0, hostId = 0, size = 0] = numbers.slice(i * RANGE_FIELDS, (i + 1) * RANGE_FIELDS);
    return { containerId, hostId, size };
  });
}

function checkedIdMap(map: readonly IdMap[]): readonly IdMap[] {
  if (map.length > ID_RANGES_MAX) refuse(`it has ${map.length} ranges, and the kernel takes ${ID_RANGES_MAX}`);
  for (const range of map) {
    const { containerId, hostId, size } = range;
    if (![containerId, hostId, size].every((number) => Number.isInteger(number) && number >= 0)) {
      refuse(`the range ${formatIdMap([range])} is not made of whole numbers`);
    }
    if (size === 0) refuse(`the range ${formatIdMap([range])} is empty`);
    if (Math.max(containerId, hostId) + size - 1 > ID_MAX) {
      refuse(`the range ${formatIdMap([range])} goes beyond the largest id, ${ID_MAX}`);
    }
  }
  requireApart(map, "containerId");
  requireApart(map, "hostId");
  return map;
}

/** Were an id in two ranges, the way back would not lead to where one came from. */
function requireApart(map: readonly IdMap[], side: "containerId" | "hostId"): void {
  const sorted = [...map].sort((a, b) => a[side] - b[side]);
  for (const [i, range] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before === undefined || before[side] + before.size <= range[side]) continue;
    const where = side === "hostId" ? "on the host" : "in the container";
    refuse(`the ranges ${formatIdMap([before])} and ${formatIdMap([range])} overlap ${where}`);
  }
}

function refuse(reason: string): never {
  throw new StrataError("INVALID_ARGUMENT", `Cannot use the id map: ${reason}; correct it`, { argument: "idMappings" });
}

function refuseMiss(what: string, id: number, map: readonly IdMap[]): never {
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot map the ${what} ${id}: it is in no range of the map ${formatIdMap(map)}; use a map that holds it`,
    { argument: "idMappings" },
  );
}
