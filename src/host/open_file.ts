// SPDX-License-Identifier: Apache-2.0
/**
 * A file that is open: content and metadata by handle, so that nothing that happens to its name matters any more.
 *
 * @module
 */
import { type ByteString, compareBytes } from "../core/bytes.ts";
import type { FileStat, Timespec } from "../core/file_stat.ts";
import * as libc from "./libc.ts";

/** An open file. Dispose of it, or call {@link OpenFile.close}. */
export class OpenFile implements Disposable {
  #fd: number;

  /** Takes over an open handle. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** The handle; -1 once closed. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * Reads at the position of the last read or write; returns how many bytes came, 0 at the end.
   * @throws {OsError}
   */
  read(into: Uint8Array): number {
    return libc.read(this.#fd, into);
  }

  /**
   * Reads at `position`; returns how many bytes came, 0 at the end.
   * @throws {OsError}
   */
  readAt(into: Uint8Array, position: number): number {
    return libc.pread(this.#fd, into, position);
  }

  /**
   * Writes all bytes at the position of the last read or write.
   * @throws {OsError}
   */
  write(bytes: Uint8Array): void {
    let done = libc.write(this.#fd, bytes);
    while (done < bytes.byteLength) done += libc.write(this.#fd, bytes.subarray(done));
  }

  /**
   * Writes all bytes at `position`.
   * @throws {OsError}
   */
  writeAt(bytes: Uint8Array, position: number): void {
    let done = libc.pwrite(this.#fd, bytes, position);
    while (done < bytes.byteLength) done += libc.pwrite(this.#fd, bytes.subarray(done), position + done);
  }

  /**
   * Sets the size; what is added is a hole.
   * @throws {OsError}
   */
  truncate(size: number): void {
    libc.ftruncate(this.#fd, size);
  }

  /**
   * What the file is now.
   * @throws {OsError}
   */
  stat(): FileStat {
    return libc.fstatx(this.#fd);
  }

  /**
   * Sets the owner. The kernel drops setuid, setgid and `security.capability` with it, so owner comes before mode.
   * @throws {OsError} also for ids outside 0 to 2^32-2
   */
  setOwner(uid: number, gid: number): void {
    libc.fchown(this.#fd, uid, gid);
  }

  /**
   * Sets exactly this mode, special bits included.
   * @throws {OsError}
   */
  setMode(mode: number): void {
    libc.fchmod(this.#fd, mode);
  }

  /**
   * Sets both times, to the nanosecond; `undefined` leaves one as it is.
   * @throws {OsError}
   */
  setTimes(atime: Timespec | undefined, mtime: Timespec | undefined): void {
    libc.futimens(this.#fd, { atime, mtime });
  }

  /**
   * The extended attributes of every namespace that this process can see, sorted by name.
   * @throws {OsError}
   */
  xattrs(): Map<ByteString, Uint8Array> {
    return collectXattrs(libc.flistxattr(this.#fd), (name) => libc.fgetxattr(this.#fd, name));
  }

  /**
   * Sets an extended attribute.
   * @throws {OsError}
   */
  setXattr(name: ByteString, value: Uint8Array): void {
    libc.fsetxattr(this.#fd, name, value);
  }

  /**
   * Removes an extended attribute.
   * @throws {OsError}
   */
  removeXattr(name: ByteString): void {
    libc.fremovexattr(this.#fd, name);
  }

  /**
   * Waits until content and metadata are on the device.
   * @throws {OsError}
   */
  sync(): void {
    libc.fsync(this.#fd);
  }

  /**
   * Gives the handle back. Further calls do nothing.
   * @throws {OsError} when the file system reports a failed write at last
   */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    libc.close(fd);
  }

  /** As {@link OpenFile.close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Names and values as a map in bytewise order; an attribute that vanishes between listing and reading is left out. */
export function collectXattrs(
  names: ByteString[],
  read: (name: ByteString) => Uint8Array | undefined,
): Map<ByteString, Uint8Array> {
  const attributes = new Map<ByteString, Uint8Array>();
  for (const name of names.sort(compareBytes)) {
    const value = read(name);
    if (value !== undefined) attributes.set(name, value);
  }
  return attributes;
}
