// SPDX-License-Identifier: Apache-2.0
/**
 * Compression by programs of the host: xz and bzip2 to read, zstd to write where the runtime cannot.
 *
 * Programs are found by the host's search path before any layer is looked at, never below a layer's root. Whatever
 * fails, both pipes are closed and the program is ended and waited for: a decompressor that blocks for ever on a pipe
 * nobody reads is CVE-2021-20291.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { findProgram, spawnFilter } from "../host/command.ts";
import { chunksOf } from "../stream/pipe.ts";
import { abortable } from "../stream/signal.ts";

/** A program of the host that decompresses. */
export type DecompressProgram = "xz" | "bzip2";

/** How {@link decompressWithProgram} runs. */
export interface ProgramOptions {
  readonly program: DecompressProgram;
  /** Log2 of the window that zstd may have; xz's dictionary is the same thing, and gets the same bound. */
  readonly windowLogMax: number;
  readonly signal?: AbortSignal;
}

/** What a run of a program needs. */
export interface FilterRun {
  readonly program: string;
  readonly args: readonly string[];
  /** Debian's package that has the program. */
  readonly debianPackage: string;
  readonly signal?: AbortSignal;
}

const DEBIAN_PACKAGES: Readonly<Record<DecompressProgram, string>> = { xz: "xz-utils", bzip2: "bzip2" };
/** What xz needs on top of its dictionary. */
const XZ_OVERHEAD_BYTES = 16 * 1024 * 1024;

/**
 * What an xz or bzip2 file holds.
 * @throws {StrataError} `NOT_SUPPORTED` without the program, `INVALID_ARCHIVE` when it refuses the data
 */
export function decompressWithProgram(
  source: AsyncIterable<Uint8Array>,
  options: ProgramOptions,
): AsyncGenerator<Uint8Array> {
  const { program, windowLogMax, signal } = options;
  const memoryBytes = 2 ** windowLogMax + XZ_OVERHEAD_BYTES;
  const args = program === "xz" ? ["-d", "-c", "-T1", `--memlimit-decompress=${memoryBytes}`] : ["-d", "-c"];
  return throughProgram(source, {
    program,
    args,
    debianPackage: DEBIAN_PACKAGES[program],
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * What a program makes of the source.
 * @throws {StrataError} `NOT_SUPPORTED`, `INVALID_ARCHIVE`, `ABORTED`
 */
export async function* throughProgram(source: AsyncIterable<Uint8Array>, run: FilterRun): AsyncGenerator<Uint8Array> {
  const path = findProgram(run.program);
  if (path === undefined) throw missing(run);
  const child = spawnFilter(path, run.args);
  const input = source[Symbol.asyncIterator]();
  const feeding = new Feeding(input, child.writable);
  try {
    yield* abortable(chunksOf(child.readable), run.signal);
    const { code, stderr } = await child.done;
    if (feeding.sourceError !== undefined) throw feeding.sourceError.reason;
    // bzip2 ends well after garbage behind the data, but not silently. No program says anything when all is well.
    if (code !== 0 || stderr.length > 0) throw refused(run, stderr.trim() || `exit code ${code}`);
  } finally {
    child.kill();
    await child.done.catch(() => {});
    feeding.stop();
  }
}

/** Writes a source into a program's input, beside the loop that reads its output. Never rejects. */
class Feeding {
  readonly #input: AsyncIterator<Uint8Array>;
  #hasEnded = false;
  /** The error with which the source ended. */
  sourceError: { readonly reason: unknown } | undefined;

  constructor(input: AsyncIterator<Uint8Array>, output: WritableStream<Uint8Array>) {
    this.#input = input;
    void this.#run(output.getWriter());
  }

  /** Closes the source, unless it has ended; does not wait, since it may be silent. */
  stop(): void {
    if (!this.#hasEnded) this.#input.return?.().catch(() => {});
  }

  async #run(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
    try {
      for (let next = await this.#next(); !next.done; next = await this.#next()) {
        await writer.ready;
        await writer.write(next.value);
      }
      await writer.close();
    } catch (reason) {
      // A broken pipe means that the program has ended; its exit code tells the reason.
      await writer.abort(reason).catch(() => {});
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const next = await this.#input.next();
      this.#hasEnded = next.done === true;
      return next;
    } catch (reason) {
      this.#hasEnded = true;
      this.sourceError = { reason };
      throw reason;
    }
  }
}

function missing(run: FilterRun): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot run "${run.program}": the program is not installed`,
    { feature: run.program },
    { hint: `Install it: on Debian and Ubuntu "apt install ${run.debianPackage}"` },
  );
}

function refused(run: FilterRun, reason: string): StrataError<"INVALID_ARCHIVE"> {
  return new StrataError(
    "INVALID_ARCHIVE",
    `Cannot convert the data with "${run.program}": ${reason}; fetch or build the blob again`,
    { stage: "decompress" },
  );
}
