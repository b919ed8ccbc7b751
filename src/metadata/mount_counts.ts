// SPDX-License-Identifier: Apache-2.0
/**
 * How often each layer is mounted, `<run root>/mounts/<store>/<cache id>`: counted for all processes, under a lock per
 * layer that also covers the first mount and the last unmount.
 *
 * The kernel is right and the count is a note: a count without a mount is 0, and a mount without a count is 1, held by
 * somebody unknown, so that it is not unmounted under him (moby, graphdriver/counter.go). Counts of an earlier boot
 * are 0, should the run root outlive the boot.
 *
 * Of the mounts of one layer, each catalog record may have its own: several records stand for one layer, and one's unmount
 * takes none of another's. What becomes of the whole count becomes of its parts.
 *
 * What is mounted in a user namespace is mounted nowhere else, so its counts are apart, in `session-<process>`, named by
 * the process with which the namespace ends.
 *
 * @module
 */
import * as v from "valibot";
import { digestHex, digestOf } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { type CacheId, parseCacheId, parseRecordId, type RecordId } from "../core/ids.ts";
import { writeFileAtomic } from "../host/durable.ts";
import { fromOsError } from "../host/errno.ts";
import { acquireLock, isLocked } from "../host/file_lock.ts";
import { ensureDir, listNames, pathExists, removeTreeAt } from "../host/files.ts";
import { bootId, isProcessAlive, type ProcessIdentity } from "../host/process.ts";
import { countSchema } from "./blob_info.ts";
import { added, type MountCount, NOTHING, without } from "./mount_count.ts";
import { attempt, jsonText, keyed, readRecordJson } from "./record_file.ts";
import { LOCK_TIMEOUT_MS, type WriteLockOptions } from "./write_lock.ts";

/** What a count is compared with. */
export interface MountState {
  /** Whether the kernel has the mount. Absent for drivers that mount nothing: the count alone is right. */
  readonly isMounted?: () => boolean;
}

/** Taking a mount. */
export interface IncrementOptions extends MountState, WriteLockOptions {
  /** Who takes it; absent: nobody in particular. */
  readonly holder?: RecordId | undefined;
  /** Mounts; runs under the layer's lock when nothing is mounted yet. Its failure leaves the count at 0. */
  readonly whenFirst?: () => void | Promise<void>;
}

/** Giving a mount back. */
export interface DecrementOptions extends MountState, WriteLockOptions {
  /** Whose mount is given back; absent: nobody's, or anybody's where each has a holder. */
  readonly holder?: RecordId | undefined;
  /** Unmounts; runs under the layer's lock when nobody is left. Its failure leaves the count as it was. */
  readonly whenLast?: () => void | Promise<void>;
  /** `one` (the default), or `all` that anybody has; with a holder, all of his. */
  readonly release?: "one" | "all";
}

/** Where the counts of a store are. */
export interface CountsPlace {
  readonly runRoot: string;
  /** Root of the store whose mounts are counted. */
  readonly root: string;
  /** The process that made the namespace this one is in. */
  readonly session?: ProcessIdentity | undefined;
}

const SESSION = /^session-(\d+)-(\d+)$/;
const countFileSchema = v.object({
  schema: v.literal(1),
  count: countSchema,
  bootId: v.string(),
  holders: v.exactOptional(keyed(countSchema)),
});

/** The mount counts of one store. */
export class MountCounts {
  /** Holds the locks, and the counts of the machine's first namespace. */
  readonly #base: string;
  readonly #dir: string;

  /** Makes nothing yet. */
  constructor({ runRoot, root, session }: CountsPlace) {
    this.#base = `${runRoot}/mounts/${digestHex(digestOf(root)).slice(0, 32)}`;
    this.#dir = session === undefined ? this.#base : `${this.#base}/session-${session.pid}-${session.startTime}`;
  }

  /** How often a layer is mounted now. */
  read(id: CacheId, state: MountState = {}): number {
    return this.#current(id, state).count;
  }

  /** How many of a layer's mounts a record has now. */
  readHeld(id: CacheId, holder: RecordId, state: MountState = {}): number {
    return this.#current(id, state).holders.get(holder) ?? 0;
  }

  /**
   * One mount more.
   * @returns the new count
   * @throws {StrataError} `LOCKED`, `ABORTED`; whatever `whenFirst` throws
   */
  increment(id: CacheId, options: IncrementOptions = {}): Promise<number> {
    return this.#locked(id, options, async () => {
      const before = this.#current(id, options);
      const after = added(before, options);
      // MountCount first: after a crash between the two, a count without a mount is harmless; a mount without one stays.
      this.#write(id, after);
      try {
        if (before.count === 0) await options.whenFirst?.();
      } catch (error) {
        this.#write(id, before);
        throw error;
      }
      return after.count;
    });
  }

  /**
   * One mount less, or none left.
   * @returns the new count
   * @throws {StrataError} `NOT_FOUND` when it is not mounted, or not by the holder; `LOCKED`, `ABORTED`; whatever `whenLast`
   *   throws
   */
  decrement(id: CacheId, options: DecrementOptions = {}): Promise<number> {
    return this.#locked(id, options, async () => {
      const before = this.#current(id, options);
      if (before.count === 0) this.#write(id, NOTHING);
      const after = without(before, options);
      if (after === undefined) throw notMounted(id);
      if (after.count === 0) await options.whenLast?.();
      this.#write(id, after);
      return after.count;
    });
  }

  /** The layers that records have mounted, as they are noted; compare them by {@link MountCounts.readHeld}. */
  held(): Map<RecordId, CacheId> {
    const byHolder = new Map<RecordId, CacheId>();
    for (const id of idsIn(this.#dir)) {
      for (const holder of this.#recorded(id)?.holders.keys() ?? []) byHolder.set(holder, id);
    }
    return byHolder;
  }

  /** The process in whose namespace a layer is mounted, if it is another one than this process's. */
  mountedBy(id: CacheId): ProcessIdentity | undefined {
    return this.#sessions().find(({ dir }) => (this.#recorded(id, dir)?.count ?? 0) > 0)?.maker;
  }

  /**
   * The layers that have counts, here or in the namespaces of others. Compare them with the kernel by
   * {@link MountCounts.read}.
   */
  list(): Set<CacheId> {
    const ids = new Set<CacheId>();
    for (const dir of [this.#dir, ...this.#sessions().map((session) => session.dir)]) {
      for (const id of idsIn(dir)) if ((this.#recorded(id, dir)?.count ?? 0) > 0) ids.add(id);
    }
    return ids;
  }

  /** The layers whose notes say nothing any more: of an earlier boot, unreadable, or of what `isMounted` denies. */
  stale(isMounted: (id: CacheId) => boolean): CacheId[] {
    const ids = namesIn(this.#dir).flatMap((name) => attempt(() => parseCacheId(name.replace(/\.lock$/, ""))) ?? []);
    return [...new Set(ids)].filter((id) => {
      if (isLocked(`${this.#base}/${id}.lock`)) return false;
      return (this.#recorded(id)?.count ?? 0) === 0 || !isMounted(id);
    });
  }

  /**
   * Removes a note that says nothing any more.
   * @throws {StrataError} `LOCKED`
   */
  async removeStale(id: CacheId, isMounted: (id: CacheId) => boolean): Promise<void> {
    await this.#locked(id, {}, () => {
      if ((this.#recorded(id)?.count ?? 0) === 0 || !isMounted(id)) this.#write(id, NOTHING);
      return Promise.resolve(0);
    });
  }

  async #locked(
    id: CacheId,
    { timeoutMs = LOCK_TIMEOUT_MS, signal }: WriteLockOptions,
    fn: () => Promise<number>,
  ): Promise<number> {
    this.#prepare();
    const path = `${this.#base}/${id}.lock`;
    await using _lock = await acquireLock(path, { kind: "exclusive", timeoutMs, signal }).catch((error: unknown) => {
      throw fromOsError(error, `count the mounts of ${id}`);
    });
    try {
      return await fn();
    } finally {
      // Removed while it is held; whoever opened it before sees that and opens the next one.
      if (!pathExists(`${this.#base}/${id}`)) removeTreeAt(path);
    }
  }

  #prepare(): void {
    try {
      for (const { dir, maker } of sessionsIn(this.#base)) if (!isProcessAlive(maker)) removeTreeAt(dir);
      ensureDir(this.#dir, 0o700);
    } catch (error) {
      throw fromOsError(error, `make the directory for mount counts "${this.#dir}"`);
    }
  }

  /** What is noted, as the kernel has it. */
  #current(id: CacheId, { isMounted }: MountState): MountCount {
    const noted = this.#recorded(id);
    if (isMounted === undefined) return noted ?? NOTHING;
    if (!isMounted()) return NOTHING;
    return noted === undefined || noted.count === 0 ? { ...NOTHING, count: 1 } : noted;
  }

  /** `undefined` when nothing is noted, or it is of an earlier boot, or unreadable. */
  #recorded(id: CacheId, dir = this.#dir): MountCount | undefined {
    const context = { action: `read how often ${id} is mounted`, remedy: "remove the file" };
    const noted = attempt(() => readRecordJson(`${dir}/${id}`, countFileSchema, context));
    if (noted === undefined || noted.bootId !== bootId()) return undefined;
    const holders = Object.entries(noted.holders ?? {}).flatMap(([text, count]): [RecordId, number][] => {
      const holder = attempt(() => parseRecordId(text));
      return holder === undefined ? [] : [[holder, count]];
    });
    return { count: noted.count, holders: new Map(holders) };
  }

  #write(id: CacheId, { count, holders }: MountCount): void {
    const path = `${this.#dir}/${id}`;
    const held = holders.size === 0 ? undefined : Object.fromEntries(holders);
    const text = jsonText({ schema: 1, count, bootId: bootId(), holders: held });
    try {
      if (count === 0) removeTreeAt(path);
      else writeFileAtomic(path, text, { mode: 0o600, durability: "none" });
    } catch (error) {
      throw fromOsError(error, `note how often ${id} is mounted`);
    }
  }

  /** The live ones of others. */
  #sessions(): Session[] {
    return sessionsIn(this.#base).filter(({ dir, maker }) => dir !== this.#dir && isProcessAlive(maker));
  }
}

interface Session {
  readonly dir: string;
  readonly maker: ProcessIdentity;
}

function sessionsIn(base: string): Session[] {
  return namesIn(base).flatMap((name) => {
    const [, pid, startTime] = SESSION.exec(name) ?? [];
    const maker = { pid: Number(pid), startTime: Number(startTime) };
    return pid === undefined ? [] : [{ dir: `${base}/${name}`, maker }];
  });
}

function namesIn(dir: string): string[] {
  try {
    return listNames(dir);
  } catch (error) {
    throw fromOsError(error, "list the mount counts");
  }
}

function idsIn(dir: string): CacheId[] {
  return namesIn(dir).flatMap((name) => attempt(() => parseCacheId(name)) ?? []);
}

function notMounted(id: CacheId): StrataError<"NOT_FOUND"> {
  return new StrataError(
    "NOT_FOUND",
    `Cannot unmount ${id}: it is not mounted; "strata mounts" lists what is`,
    { kind: "mount", ref: id },
  );
}
