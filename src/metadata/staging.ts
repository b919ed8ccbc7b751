// SPDX-License-Identifier: Apache-2.0
/**
 * Directories of operations under way, `strata/tmp/<id>`. Whoever works in one holds a lock on its file `lock`, so that
 * a directory of a dead process is known as such, without guessing from times or process numbers.
 *
 * Disposal removes the directory (it rolls back); to publish something, it is renamed out of it before. It counts as a
 * record does, where file systems have project quotas: what belongs to another project could not be renamed.
 *
 * The lock is taken before `owner.json` is written. So a directory with `owner.json` and without a lock is dead. One
 * with neither may just have been made, or be a renamed-away record awaiting removal; its age tells.
 *
 * @module
 */
import * as v from "valibot";
import { randomId } from "../core/ids.ts";
import { writeFileAtomic } from "../host/durable.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { type FileLock, isLocked } from "../host/file_lock.ts";
import { ensureDir, listNames, removeTreeAt, removeTreeInTurns, statPath } from "../host/files.ts";
import { shareProject } from "../host/quota/project_id.ts";
import { bootId, currentProcess } from "../host/process.ts";
import { countSchema, timeSchema } from "./blob_info.ts";
import type { StoreLayout } from "./layout.ts";
import { lockOwnFile } from "./own_lock.ts";
import { attempt, jsonText, readRecordJson } from "./record_file.ts";
import { fromWriteError } from "./root_access.ts";

/** Who works in a staging directory; for people and messages, the lock decides. */
export interface StagingOwner {
  readonly pid: number;
  /** Clock ticks from boot to the process's start. */
  readonly startTime: number;
  readonly bootId: string;
  /** The operation, such as `register`. */
  readonly what: string;
  /** ISO 8601, UTC. */
  readonly created: string;
}

/** `live`: somebody works in it; `dead`: nobody does any more; `unclaimed`: nobody says so, and its age must tell. */
export type StagingState = "live" | "dead" | "unclaimed";

/** A staging directory found on disk. */
export interface StagingEntry {
  readonly id: string;
  readonly dir: string;
  readonly state: StagingState;
  readonly owner?: StagingOwner;
  /** Milliseconds since 1970 of the last change in the directory itself. */
  readonly modifiedMs: number;
}

/** Directories that are tried before one stays. */
const TRIES_MAX = 10;

const ownerSchema = v.object({
  schema: v.literal(1),
  pid: countSchema,
  startTime: countSchema,
  bootId: v.string(),
  what: v.string(),
  created: timeSchema,
});

/** The staging directories of one store. */
export class StagingArea {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  /**
   * A fresh directory for one operation, to be disposed of.
   * @param what the operation, for people
   */
  create(what: string): Staging {
    for (let tries = 1;; tries++) {
      try {
        return this.#create(what);
      } catch (error) {
        // Until it is locked, a gc may take the new directory for an abandoned one.
        if (tries < TRIES_MAX && hasErrno(error, "ENOENT")) continue;
        const doing = `make a staging directory below "${this.#layout.stagingDir}"`;
        throw fromWriteError(error, { root: this.#layout.root, doing });
      }
    }
  }

  /** All staging directories, of this process and others. */
  list(): StagingEntry[] {
    try {
      return listNames(this.#layout.stagingDir).flatMap((id) => {
        const dir = `${this.#layout.stagingDir}/${id}`;
        const modified = statPath(dir)?.mtime;
        if (modified === undefined) return [];
        // The owner is read before the lock is looked at: in this order, "owner and no lock" cannot be a beginning.
        const owner = readOwner(dir);
        const state: StagingState = isLocked(`${dir}/lock`) ? "live" : owner === undefined ? "unclaimed" : "dead";
        const modifiedMs = modified.sec * 1000 + Math.floor(modified.nsec / 1e6);
        return [{ id, dir, state, modifiedMs, ...(owner === undefined ? {} : { owner }) }];
      });
    } catch (error) {
      throw fromOsError(error, "list the staging directories");
    }
  }

  #create(what: string): Staging {
    const id = randomId();
    const dir = `${this.#layout.stagingDir}/${id}`;
    let lock: FileLock | undefined;
    try {
      ensureDir(dir, 0o700);
      lock = lockOwnFile(`${dir}/lock`);
      shareProject(dir, this.#layout.layersDir);
      const owner = { schema: 1, ...currentProcess(), bootId: bootId(), what, created: new Date().toISOString() };
      writeFileAtomic(`${dir}/owner.json`, jsonText(owner), { mode: 0o600, durability: "none" });
      return new Staging(id, dir, lock);
    } catch (error) {
      lock?.release();
      attempt(() => removeTreeAt(dir));
      throw error;
    }
  }

  /** Removes a directory of {@link StagingArea.list} unless somebody works in it now. */
  removeIfAbandoned({ dir }: Pick<StagingEntry, "dir">): "removed" | "live" {
    try {
      if (isLocked(`${dir}/lock`)) return "live";
      removeTreeAt(dir);
      return "removed";
    } catch (error) {
      throw fromOsError(error, `remove the staging directory "${dir}"`);
    }
  }
}

/** One operation's directory. Disposal removes what is still in it. */
export class Staging implements Disposable, AsyncDisposable {
  readonly id: string;
  /** Absolute path; also holds `lock` and `owner.json`. */
  readonly dir: string;
  readonly #lock: FileLock;

  /** Use {@link StagingArea.create}. */
  constructor(id: string, dir: string, lock: FileLock) {
    this.id = id;
    this.dir = dir;
    this.#lock = lock;
  }

  /** The path of something in the directory. */
  path(name: string): string {
    return `${this.dir}/${name}`;
  }

  /** Removes the directory; the lock goes last, so that nobody else removes it meanwhile. */
  [Symbol.dispose](): void {
    try {
      removeTreeAt(this.dir);
    } catch (error) {
      throw fromOsError(error, `remove the staging directory "${this.dir}"`);
    } finally {
      this.#lock.release();
    }
  }

  /** As `[Symbol.dispose]`, without stopping the event loop: a layer that failed may have left a large tree. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await removeTreeInTurns(this.dir);
    } catch (error) {
      throw fromOsError(error, `remove the staging directory "${this.dir}"`);
    } finally {
      this.#lock.release();
    }
  }
}

function readOwner(dir: string): StagingOwner | undefined {
  const context = { action: `read who works in "${dir}"`, remedy: `run "strata gc"` };
  const document = attempt(() => readRecordJson(`${dir}/owner.json`, ownerSchema, context));
  if (document === undefined) return undefined;
  const { schema: _schema, ...owner } = document;
  return owner;
}
