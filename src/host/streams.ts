// SPDX-License-Identifier: Apache-2.0
/**
 * Files as streams, for archives that come from and go to files which a person names.
 *
 * Reading is asynchronous, so a slow file system or a named pipe does not stop the event loop. A file that is written
 * appears whole or not at all: the bytes go to a neighbour first, which takes the name at the end (rename(2)). What is
 * no regular file, such as `/dev/null` or a named pipe, is written in place: it must never be replaced.
 *
 * @module
 */
import { type FileHandle, lstat, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StrataError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import { CHUNK_BYTES } from "../core/limits.ts";
import { fromOsError, hasErrno } from "./errno.ts";
import { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "./linux.ts";

/** A file that is being read. */
export interface FileStream {
  /** The content; ends or is cancelled, and closes the file with it. */
  readonly stream: ReadableStream<Uint8Array>;
  /** Bytes; unknown for pipes and devices. */
  readonly sizeBytes: number | undefined;
}

/** How a file is written. */
export interface WriteFileStreamOptions {
  /** Aborting leaves the old file, or none. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a file to be read once, from its beginning. Closed at the end of the stream, and by cancelling it.
 * @throws {StrataError} `NOT_FOUND`, `INVALID_ARGUMENT` for a directory, `NOT_PERMITTED`
 */
export async function openFileStream(path: string): Promise<FileStream> {
  return await openStream(path, "r");
}

/**
 * As {@link openFileStream}, of a regular file only: a symlink is not followed, and a fifo lets nobody wait.
 * @throws {StrataError} as {@link openFileStream}; `CORRUPT` for what is no regular file
 */
export async function openRegularStream(path: string): Promise<FileStream> {
  try {
    // Opening a device can act on it, so it is looked at before; swapped meanwhile, it lets nobody wait.
    const stat = await lstat(path);
    if (!stat.isFile()) throw irregular(path);
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "ENOTDIR")) throw fromOsError(error, `read "${path}"`);
  }
  return await openStream(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

async function openStream(path: string, flags: "r" | number): Promise<FileStream> {
  const action = `read "${path}"`;
  try {
    const file = await open(path, flags);
    const status = await file.stat();
    if (status.isDirectory()) {
      await file.close();
      throw new StrataError("INVALID_ARGUMENT", `Cannot ${action}: it is a directory; give a file`, { argument: path });
    }
    return { stream: streamOfFile(file, action), sizeBytes: status.isFile() ? status.size : undefined };
  } catch (error) {
    if (!hasErrno(error, "ENOENT", "ENOTDIR")) throw fromOsError(error, action);
    const message = `Cannot ${action}: there is no such file; check the path`;
    throw new StrataError("NOT_FOUND", message, { kind: "file", ref: path }, { cause: error });
  }
}

/**
 * Writes a stream to a file, and gives the bytes written. An existing file keeps its mode and is replaced at the end; a
 * symlink is followed.
 * @throws {StrataError} `NO_SPACE`, `NOT_PERMITTED`, `IO`, `ABORTED`, or what the stream failed with; the file is as it
 *   was then
 */
export async function writeFileStream(
  path: string,
  stream: ReadableStream<Uint8Array>,
  options: WriteFileStreamOptions = {},
): Promise<number> {
  try {
    const target = await openTarget(path);
    try {
      const sizeBytes = await drain(stream, target.file, options.signal);
      await target.file.close();
      await target.publish();
      return sizeBytes;
    } catch (error) {
      await target.discard();
      throw error;
    }
  } catch (error) {
    await stream.cancel(error).catch(() => {});
    throw fromOsError(error, `write "${path}"`);
  }
}

function streamOfFile(file: FileHandle, action: string): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK_BYTES), 0, CHUNK_BYTES, null);
        if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
        await file.close();
        controller.close();
      } catch (error) {
        throw fromOsError(error, action);
      }
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}

function irregular(path: string): StrataError<"CORRUPT"> {
  const message = `Cannot read "${path}": it is no regular file; remove it, and keep its content again`;
  return new StrataError("CORRUPT", message, { path });
}

interface Target {
  readonly file: FileHandle;
  publish(): Promise<void>;
  discard(): Promise<void>;
}

async function openTarget(path: string): Promise<Target> {
  const existing = await statusOf(path);
  if (existing !== undefined && !existing.isFile()) return inPlace(await open(path, "w"));
  const target = existing === undefined ? path : await realpath(path);
  const temporary = join(dirname(target), `.${basename(target).slice(0, 200)}.${randomId().slice(0, 12)}.tmp`);
  const file = await open(temporary, "wx", existing === undefined ? 0o666 : existing.mode & 0o777);
  return {
    file,
    publish: () => rename(temporary, target),
    async discard() {
      await file.close().catch(() => {});
      await rm(temporary, { force: true });
    },
  };
}

function inPlace(file: FileHandle): Target {
  return { file, publish: () => Promise.resolve(), discard: () => file.close().catch(() => {}) };
}

async function statusOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function drain(
  stream: ReadableStream<Uint8Array>,
  file: FileHandle,
  signal: AbortSignal | undefined,
): Promise<number> {
  const reader = stream.getReader();
  // A source that is silent must not hold up an abort: cancelling ends the read that waits.
  const onAbort = (): void => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", onAbort);
  let sizeBytes = 0;
  try {
    for (;;) {
      requireGoing(signal);
      const { value } = await reader.read();
      requireGoing(signal);
      if (value === undefined) return sizeBytes;
      await writeAll(file, value);
      sizeBytes += value.byteLength;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    reader.releaseLock();
  }
}

function requireGoing(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  const message = "Cannot write the file: the operation was aborted";
  throw new StrataError("ABORTED", message, {}, { cause: signal.reason });
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, null);
    done += bytesWritten;
  }
}
