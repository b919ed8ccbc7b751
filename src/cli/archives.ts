// SPDX-License-Identifier: Apache-2.0
/**
 * Archives on the command line: where a tar is read from and written to. A tar never meets a terminal.
 *
 * @module
 */
import type { FileStream } from "../../mod.ts";
import type { ArgumentSpec, OptionSpec } from "./command.ts";
import { UsageError } from "./errors.ts";
import type { Invocation } from "./invocation.ts";
import { loadStrata } from "./strata.ts";

/** The word for standard input and standard output. */
const STANDARD = "-";

/** The archive to be read. */
export const FILE_ARGUMENT: ArgumentSpec = {
  name: "FILE",
  summary: `a tar: plain, gzip, zstd, xz or bzip2; "-" or nothing is standard input`,
  count: "optional",
};

/** Where an archive goes, and how it is compressed. */
export const ARCHIVE_OPTIONS: readonly OptionSpec[] = [
  { name: "output", short: "o", value: "FILE", summary: `write there, all or nothing; "-" is standard output` },
  { name: "compress", value: "HOW", choices: ["none", "gzip", "zstd"], summary: "how the tar is compressed" },
];

/**
 * Opens the archive that the argument FILE names.
 * @throws {UsageError} for a terminal
 * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`
 */
export async function openArchive({ input, io }: Invocation): Promise<FileStream> {
  const file = input.optionalWord("FILE") ?? STANDARD;
  if (file === STANDARD) return { stream: openStandardInput(io), sizeBytes: undefined };
  const { openFileStream } = await loadStrata();
  return await openFileStream(file);
}

/**
 * Standard input, for an archive.
 * @throws {UsageError} for a terminal
 */
export function openStandardInput({ stdin }: Invocation["io"]): ReadableStream<Uint8Array> {
  if (stdin.terminal === "no") return stdin.open();
  throw new UsageError("Cannot read an archive from a terminal", { hint: "Name a file, or pipe an archive in" });
}

/** Where an archive goes: a file, or `undefined` for standard output. */
export type ArchiveTarget = string | undefined;

/**
 * Where the options say that the archive goes. To be asked before the store is opened.
 * @throws {UsageError} for a terminal
 */
export function archiveTarget({ input, io }: Invocation): ArchiveTarget {
  const output = input.text("output") ?? STANDARD;
  if (output !== STANDARD) return output;
  if (io.stdout.terminal === "no") return undefined;
  throw new UsageError("Cannot write an archive to a terminal", { hint: "Add -o FILE, or pipe the output on" });
}

/** Writes an archive there, compressed as the options say. */
export async function sendArchive(
  invocation: Invocation,
  archive: { readonly stream: ReadableStream<Uint8Array>; readonly to: ArchiveTarget; readonly operation: string },
): Promise<void> {
  const { signal, output } = invocation;
  const stream = await compressed(invocation, archive.stream);
  if (archive.to === undefined) return await output.bytes(stream, signal);
  const { writeFileStream } = await loadStrata();
  await using progress = await invocation.progress({ operation: archive.operation });
  await writeFileStream(archive.to, stream.pipeThrough(counter((bytes) => progress.add(bytes))), { signal });
  await progress.succeed();
}

async function compressed(
  { input, signal }: Invocation,
  stream: ReadableStream<Uint8Array>,
): Promise<ReadableStream<Uint8Array>> {
  const { compressStream } = await loadStrata();
  switch (input.text("compress")) {
    case "gzip":
      return stream.pipeThrough(compressStream("gzip", { signal }));
    case "zstd":
      return stream.pipeThrough(compressStream("zstd", { signal }));
    default:
      return stream;
  }
}

function counter(onBytes: (bytes: number) => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      onBytes(chunk.byteLength);
      controller.enqueue(chunk);
    },
  });
}
