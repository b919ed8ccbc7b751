// SPDX-License-Identifier: Apache-2.0
/**
 * A layer's directory whose owners are kept under mapped ids, shown under the archive's.
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import type { FileStat } from "../core/file_stat.ts";
import { type IdShift, shiftOwner } from "../core/id_map.ts";
import type { LayerPath } from "../core/layer_path.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { DirEntry, RootedDir } from "../host/rooted_dir.ts";
import { shiftXattr } from "./owner_xattrs.ts";

/** What views ask a layer's directory for. Failures of the system come as `OsError`. */
export type LayerDir =
  & Pick<RootedDir, "stat" | "list" | "readlink" | "openRead" | "openReadFollowing" | "xattrs">
  & Disposable;

/** How a directory is shown. */
export interface MappedDirOptions {
  /** From the ids on disk to those that are shown. */
  readonly shift: IdShift;
  /** Whether an object is a mark of the driver's and belongs to nobody in the tree. */
  readonly isMark?: (stat: FileStat) => boolean;
}

/** A directory under other ids. It owns the handle. */
export class MappedDir implements LayerDir {
  readonly #dir: RootedDir;
  readonly #options: MappedDirOptions;

  /** Takes over the handle. */
  constructor(dir: RootedDir, options: MappedDirOptions) {
    this.#dir = dir;
    this.#options = options;
  }

  /** @throws {StrataError} `INVALID_ARGUMENT` for an owner that the maps do not hold: somebody else wrote here */
  stat(path: LayerPath): FileStat | undefined {
    const stat = this.#dir.stat(path);
    if (stat === undefined || this.#options.isMark?.(stat)) return stat;
    return this.#mapped(path, (shift) => ({ ...stat, ...shiftOwner(shift, stat) }));
  }

  list(path: LayerPath): DirEntry[] {
    return this.#dir.list(path);
  }

  readlink(path: LayerPath): ByteString {
    return this.#dir.readlink(path);
  }

  openRead(path: LayerPath): OpenFile {
    return this.#dir.openRead(path);
  }

  openReadFollowing(path: LayerPath): OpenFile {
    return this.#dir.openReadFollowing(path);
  }

  /** @throws {StrataError} as {@link MappedDir.stat}, for a user in an access control list */
  xattrs(path: LayerPath): Map<ByteString, Uint8Array> {
    const attributes = this.#dir.xattrs(path);
    return this.#mapped(path, (shift) => {
      for (const [name, value] of attributes) attributes.set(name, shiftXattr(name, value, shift));
      return attributes;
    });
  }

  /** Gives the handle back. */
  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }

  #mapped<T>(path: LayerPath, map: (shift: IdShift) => T): T {
    try {
      return map(this.#options.shift);
    } catch (error) {
      if (!hasCode(error, "INVALID_ARGUMENT")) throw error;
      const message = `Cannot tell who owns "/${display(path)}" of "${this.#dir.path}": ${error.message}`;
      throw new StrataError("INVALID_ARGUMENT", message, error.detail, { cause: error });
    }
  }
}
