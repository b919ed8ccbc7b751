// SPDX-License-Identifier: Apache-2.0
/**
 * Opening what a saved image is loaded from. A directory and a plain archive are read where they are; a compressed archive
 * and a stream, which cannot be read in any order, are first written to a staging directory.
 *
 * @module
 */
import { decompressTo } from "../compression/decompress.ts";
import { detectCompression, HEAD_BYTES } from "../compression/detect.ts";
import { isStrataError, StrataError } from "../core/errors.ts";
import { fromOsError } from "../host/errno.ts";
import { openForRead, openForWrite, realPath, statPath } from "../host/files.ts";
import { readChunks } from "../host/read_chunks.ts";
import type { Staging } from "../metadata/staging.ts";
import type { StoreContext } from "../store/context.ts";
import { chunksOf } from "../stream/pipe.ts";
import { indexArchive } from "./archive_index.ts";
import { DirectoryFiles, type ImageFiles } from "./image_files.ts";

/** What images are loaded from: a file or directory, or a stream, which is read to its end or cancelled. */
export type ImageSource =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "stream"; readonly stream: ReadableStream<Uint8Array> };

/** Files of a saved image that can be read until it is disposed of. */
export interface OpenSource extends AsyncDisposable {
  readonly files: ImageFiles;
}

/**
 * Opens a source.
 * @throws {StrataError} `NOT_FOUND` when there is nothing at the path; `INVALID_ARCHIVE` at the stage `source` when it is
 *   no archive; `LIMIT_EXCEEDED`, `NO_SPACE`, `ABORTED`
 */
export async function openSource(
  context: StoreContext,
  source: ImageSource,
  signal: AbortSignal | undefined,
): Promise<OpenSource> {
  if (source.kind === "stream") return await spool(context, { chunks: chunksOf(source.stream), shownAs: "-", signal });
  try {
    const path = resolvePath(source.path);
    const type = statPath(path)?.type;
    if (type === "dir") return inPlace(new DirectoryFiles(source.path));
    if (type !== "file") throw notReadable(source.path, type ?? "nothing");
    if (isPlain(path)) return inPlace(indexFile(context, { path, shownAs: source.path }));
    return await spool(context, { chunks: fileChunks(path), shownAs: source.path, signal });
  } catch (error) {
    throw fromOsError(error, `load image from "${source.path}"`);
  }
}

function inPlace(files: ImageFiles): OpenSource {
  return { files, [Symbol.asyncDispose]: () => Promise.resolve() };
}

interface Spooling {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly shownAs: string;
  readonly signal: AbortSignal | undefined;
}

async function spool(context: StoreContext, { chunks, shownAs, signal }: Spooling): Promise<OpenSource> {
  const staging = context.staging.create("load");
  try {
    const path = staging.path("archive.tar");
    await writeDecompressed(context, { path, chunks, signal });
    const files = indexFile(context, { path, shownAs });
    return { files, [Symbol.asyncDispose]: () => staging[Symbol.asyncDispose]() };
  } catch (error) {
    disposeQuietly(staging);
    throw isStrataError(error) ? error : fromOsError(error, `keep the image from "${shownAs}"`);
  }
}

async function writeDecompressed(
  { settings }: StoreContext,
  { path, chunks, signal }: Pick<Spooling, "chunks" | "signal"> & { readonly path: string },
): Promise<void> {
  using file = openForWrite(path, { mode: 0o600 });
  await decompressTo(chunks, (chunk) => file.write(chunk), {
    limits: settings.limits,
    ...(signal === undefined ? {} : { signal }),
  });
}

function indexFile(context: StoreContext, place: { readonly path: string; readonly shownAs: string }): ImageFiles {
  using file = openForRead(place.path);
  return indexArchive(file, place, context.settings.limits);
}

function isPlain(path: string): boolean {
  using file = openForRead(path);
  const head = new Uint8Array(HEAD_BYTES);
  return detectCompression(head.subarray(0, file.readAt(head, 0))) === "none";
}

async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  yield* readChunks(openForRead(path));
}

function resolvePath(path: string): string {
  if (statPath(path) === undefined) {
    throw new StrataError("NOT_FOUND", `Cannot load image from "${path}": there is no such file or directory`, {
      kind: "file",
      ref: path,
    });
  }
  return realPath(path);
}

function notReadable(path: string, type: string): StrataError<"INVALID_ARGUMENT"> {
  return new StrataError(
    "INVALID_ARGUMENT",
    `Cannot load image from "${path}": it is not a file or directory but a ${type}; pass a stream on standard input ("-")`,
    { argument: "path" },
  );
}

/** The error that led here is the one to tell; what is left is garbage for gc. */
function disposeQuietly(staging: Staging): void {
  try {
    staging[Symbol.dispose]();
  } catch {
    // As said above.
  }
}
