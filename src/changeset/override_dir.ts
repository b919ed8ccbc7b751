// SPDX-License-Identifier: Apache-2.0
/**
 * A directory in which owner, mode and type of every object are told by an attribute (`override_stat.ts`): nothing is
 * chowned, all files and directories have one mode, and devices, pipes and sockets are regular files. Through this class
 * it is read and written as if it were a plain one, so that nobody else needs to know.
 *
 * Symlinks cannot have the attribute: they are symlinks, and belong to whom they can. A whiteout stays a device.
 *
 * @module
 */
import type { Ownership } from "./change.ts";
import type { ByteString } from "../core/bytes.ts";
import type { FileStat } from "../core/file_stat.ts";
import type { LayerPath } from "../core/layer_path.ts";
import { display } from "../core/bytes.ts";
import { errnoOf, isOsError, OsError } from "../host/errno.ts";
import { OpenFile } from "../host/open_file.ts";
import { type DirEntry, type NodeSpec, type OpenRootOptions, RootedDir } from "../host/rooted_dir.ts";
import {
  formatOverride,
  isOverrideXattr,
  overridden,
  OVERRIDE_XATTR,
  overrideOf,
  type OverrideStat,
} from "./override_stat.ts";

/** What of an object is told by its attribute. */
type Told = Pick<FileStat, "type" | "mode" | "uid" | "gid" | "rdevMajor" | "rdevMinor">;

/** The mode of files and directories while a tree is made: only this process needs them. */
const PRIVATE_MODE = 0o700;

/** Opens a tree in which objects have their owners in this way. */
export function openOwnedTree(path: string, ownership: Ownership): RootedDir {
  return ownership === "recorded" ? OverrideDir.open(path) : RootedDir.open(path);
}

/** A directory whose objects are what their attributes say. */
export class OverrideDir extends RootedDir {
  /** See {@link RootedDir.open}. */
  static override open(path: string, options: OpenRootOptions = {}): OverrideDir {
    return new OverrideDir(RootedDir.openHandle(path, options), path);
  }

  /** See {@link RootedDir.openDir}. */
  override openDir(path: LayerPath): OverrideDir {
    return new OverrideDir(this.openDirHandle(path), this.pathOf(path));
  }

  /** See {@link RootedDir.stat}. */
  override stat(path: LayerPath): FileStat | undefined {
    const stat = super.stat(path);
    return stat?.type !== "file" && stat?.type !== "dir" ? stat : overridden(stat, this.said(super.xattrs(path)));
  }

  /** See {@link RootedDir.list}. What a regular file stands for, only its attribute tells. */
  override list(path: LayerPath): DirEntry[] {
    return super.list(path).map((entry) => entry.type === "file" ? { ...entry, type: undefined } : entry);
  }

  /** See {@link RootedDir.openRead}. */
  override openRead(path: LayerPath): OpenFile {
    const type = this.stat(path)?.type;
    if (type === "char" || type === "block" || type === "fifo" || type === "socket") {
      throw new OsError(errnoOf("ENXIO"), "open", display(path));
    }
    return super.openRead(path);
  }

  /** See {@link RootedDir.xattrs}. */
  override xattrs(path: LayerPath): Map<ByteString, Uint8Array> {
    const attributes = super.xattrs(path);
    for (const name of attributes.keys()) if (isOverrideXattr(name)) attributes.delete(name);
    return attributes;
  }

  /** See {@link RootedDir.create}. */
  override create(path: LayerPath, mode: number): OpenFile {
    const file = new OverrideFile(super.create(path, PRIVATE_MODE).fd);
    file.setMode(mode);
    return file;
  }

  /** See {@link RootedDir.mkdir}. */
  override mkdir(path: LayerPath, mode: number): void {
    super.mkdir(path, PRIVATE_MODE);
    this.#tell(path, { ...ROOTS, type: "dir", mode });
  }

  /** See {@link RootedDir.mknod}. */
  override mknod(path: LayerPath, node: NodeSpec): void {
    const { type, mode, major = 0, minor = 0 } = node;
    if (type === "char" && major === 0 && minor === 0) return super.mknod(path, node);
    super.create(path, PRIVATE_MODE).close();
    this.#tell(path, { ...ROOTS, type, mode, rdevMajor: major, rdevMinor: minor });
  }

  /** See {@link RootedDir.setOwner}. */
  override setOwner(path: LayerPath, uid: number, gid: number): void {
    const stat = this.stat(path);
    if (stat !== undefined && canBeTold(stat)) return this.#tellAnew(path, { ...stat, uid, gid });
    try {
      super.setOwner(path, uid, gid);
    } catch (error) {
      if (!isOsError(error, "EPERM", "EINVAL")) throw error;
    }
  }

  /** See {@link RootedDir.setMode}. */
  override setMode(path: LayerPath, mode: number): void {
    const stat = this.stat(path);
    if (stat === undefined || !canBeTold(stat)) return super.setMode(path, mode);
    this.#tellAnew(path, { ...stat, mode });
  }

  /** What an object's attributes say of it. */
  protected said(attributes: ReadonlyMap<ByteString, Uint8Array>): OverrideStat | undefined {
    return overrideOf(attributes);
  }

  #tell(path: LayerPath, told: Told): void {
    this.setXattr(path, OVERRIDE_XATTR, formatOverride(told));
  }

  /** Of an object that a mount program may have told of: what it said would count for more. */
  #tellAnew(path: LayerPath, told: Told): void {
    this.#tell(path, told);
    const { uid, gid, mode } = told;
    for (const name of super.xattrs(path).keys()) {
      if (!isOverrideXattr(name) || name === OVERRIDE_XATTR) continue;
      this.setXattr(path, name, formatOverride({ uid, gid, mode, rdevMajor: 0, rdevMinor: 0 }));
    }
  }
}

/** A regular file of such a directory. */
class OverrideFile extends OpenFile {
  override stat(): FileStat {
    return overridden(super.stat(), overrideOf(super.xattrs()));
  }

  override setOwner(uid: number, gid: number): void {
    this.#tell({ ...this.stat(), uid, gid });
  }

  override setMode(mode: number): void {
    this.#tell({ ...this.stat(), mode });
  }

  override xattrs(): Map<ByteString, Uint8Array> {
    const attributes = super.xattrs();
    for (const name of attributes.keys()) if (isOverrideXattr(name)) attributes.delete(name);
    return attributes;
  }

  #tell(told: Told): void {
    this.setXattr(OVERRIDE_XATTR, formatOverride(told));
  }
}

/** What is made here is root's until it gets its owner. */
const ROOTS = { uid: 0, gid: 0, rdevMajor: 0, rdevMinor: 0 } as const;

/** Whether the object is a symlink or a whiteout, which have no user attributes; stand-ins of devices have. */
function canBeTold({ type, rdevMajor, rdevMinor }: FileStat): boolean {
  return type !== "symlink" && !(type === "char" && rdevMajor === 0 && rdevMinor === 0);
}
