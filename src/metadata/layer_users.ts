// SPDX-License-Identifier: Apache-2.0
/**
 * Which records refer to a layer, so that nobody has to read all of them to learn whether one is needed.
 *
 *   strata/users/<kind>/<layer>/<who>   an empty file: this catalog record, layer or writable layer refers to the layer
 *   strata/users/state                  what the directories of records were like when that was last known to be complete
 *
 * The records are right, and this is a note. A file is made before its record and removed after it, so one too many is what
 * a crash leaves; who finds one asks the record itself. One too few must not be: the note is believed only while the
 * directories of records are as they were when a writer of this version left them, which each does before it gives the
 * write lock back. After Docker, an earlier version or a person has changed them, or a writer was killed, it is not believed,
 * and all records are read, until the next writer makes it anew.
 *
 * The state is never synced. So it does not come to the disk before what it speaks of, and a power loss at worst leaves an
 * older one, which is not believed.
 *
 * @module
 */
import { type ChainId, digestHex, isChainId } from "../core/digest.ts";
import { hasErrno } from "../host/errno.ts";
import {
  createExclusive,
  ensureDir,
  listNames,
  openForWrite,
  pathExists,
  readText,
  removeEmptyDirectory,
  removeTreeAt,
  statPath,
} from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";
import { attempt } from "./record_file.ts";
import type { WriteLock } from "./write_lock.ts";

/** What refers to a layer: catalog records, layers on top, writable layers. */
export type UserKind = "record" | "layer" | "writable";

/** That a layer is referred to. */
export interface LayerUse {
  readonly kind: UserKind;
  readonly chainId: ChainId;
  /** The record's id, the layer's ChainID, the writable layer's name. */
  readonly who: string;
}

/** Characters of the state: always the same, so that it is overwritten as a whole. */
const STATE_CHARS = 256;

/** The note of one store. Not locked here: writers hold the write lock. */
export class LayerUsers {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  /** Who may refer to a layer; `undefined` when only all records together tell. */
  of(kind: UserKind, chainId: ChainId): string[] | undefined {
    return this.#believed(() => listNames(this.#dir(kind, chainId)));
  }

  /** The layers that something of this kind may refer to; `undefined` when only all records together tell. */
  usedLayers(kind: UserKind): ChainId[] | undefined {
    return this.#believed(() =>
      listNames(`${this.#layout.usersDir}/${kind}`).map((hex) => `sha256:${hex}`).filter(isChainId)
    );
  }

  /** Notes a use, before it begins. When that cannot be, nothing here is believed any more. */
  add({ kind, chainId, who }: LayerUse): void {
    const dir = this.#dir(kind, chainId);
    try {
      ensureDir(dir, 0o700);
      createExclusive(`${dir}/${who}`, "");
    } catch (error) {
      if (!hasErrno(error, "EEXIST")) attempt(() => removeTreeAt(this.#statePath));
    }
  }

  /** Drops a use, after it has ended. */
  remove({ kind, chainId, who }: LayerUse): void {
    const dir = this.#dir(kind, chainId);
    attempt(() => removeTreeAt(`${dir}/${who}`));
    attempt(() => removeEmptyDirectory(dir));
  }

  /** Whether it is complete. */
  isComplete(): boolean {
    return attempt(() => readText(this.#statePath)) === this.#state();
  }

  /** Makes it anew; where it cannot be written it stays incomplete. */
  remake(lock: WriteLock, uses: Iterable<LayerUse>): void {
    lock.assertCovers(this.#layout);
    attempt(() => {
      removeTreeAt(this.#layout.usersDir);
      ensureDir(this.#layout.usersDir, 0o700);
      createExclusive(this.#statePath, "");
      for (const use of uses) this.add(use);
    });
    this.confirm(lock);
  }

  /** Says that it cannot be known to be complete. */
  doubt(lock: WriteLock): void {
    lock.assertCovers(this.#layout);
    attempt(() => removeTreeAt(this.#statePath));
  }

  /** Says that it is complete, by a writer that found it so, and noted all that it changed since. */
  confirm(lock: WriteLock): void {
    lock.assertCovers(this.#layout);
    attempt(() => {
      if (!pathExists(this.#statePath)) return;
      using file = openForWrite(this.#statePath, { existing: "allow" });
      file.writeAt(new TextEncoder().encode(this.#state()), 0);
    });
  }

  /** Looks before and after: it may be made anew meanwhile. */
  #believed<T>(read: () => T): T | undefined {
    if (!this.isComplete()) return undefined;
    const found = attempt(read);
    return this.isComplete() ? found : undefined;
  }

  /** The kernel sets a directory's ctime whenever an entry comes, goes or changes its name; nobody else can set it. */
  #state(): string {
    const { recordsDir, layersDir, mountsDir } = this.#layout;
    const parts = [recordsDir, layersDir, mountsDir].map((dir) => {
      const stat = statPath(dir);
      return stat === undefined ? "none" : `${stat.ino}@${stat.ctime.sec}.${stat.ctime.nsec}/${stat.nlink}`;
    });
    return `1 ${parts.join(" ")}`.padEnd(STATE_CHARS - 1) + "\n";
  }

  #dir(kind: UserKind, chainId: ChainId): string {
    return `${this.#layout.usersDir}/${kind}/${digestHex(chainId)}`;
  }

  get #statePath(): string {
    return `${this.#layout.usersDir}/state`;
  }
}
