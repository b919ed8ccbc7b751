// SPDX-License-Identifier: Apache-2.0
/**
 * The system's zlib, where there is one: inflating into a buffer of the caller's, again and again.
 *
 * `node:zlib` gives every chunk a buffer of its own. On Deno those are collected late (after 64 MiB of them), so a thread
 * that inflates a large layer by it takes that much more memory than for a small one. Where `libz.so.1` is missing, it is
 * what is used all the same.
 *
 * On Node it is used always: it inflates beside the JavaScript thread there and collects in time, and the program itself
 * exports zlib's names, to which a second zlib in the process would be bound, with structures of another version.
 *
 * zlib.h of 1.2.x: `z_stream`, inflateInit2, inflate, inflateReset, inflateEnd. Offsets are those of 64-bit Linux.
 *
 * @module
 */

/** A stretch of work of {@link Inflater.inflate}. */
export interface Inflated {
  /** Bytes of the input that were used up. */
  readonly consumed: number;
  /** Bytes that were put into the output. */
  readonly produced: number;
  /** `end`: the member is complete, its checksum and length were right. */
  readonly state: "more" | "end";
}

/** What a failed call says. */
export class InflateError extends Error {
  override readonly name = "InflateError";
}

const STREAM_BYTES = 112;
const AT = { nextIn: 0, availIn: 8, nextOut: 24, availOut: 32, message: 48 } as const;
/** 15 bits of window, and 16 more for "gzip, nothing else". */
const GZIP_WINDOW_BITS = 31;
const NO_FLUSH = 0;
const OK = 0;
const STREAM_END = 1;
/** No progress was possible: there is no input, or no room. */
const BUF_ERROR = -5;

interface Calls {
  inflateInit2(stream: Uint8Array, windowBits: number, version: string, streamBytes: number): number;
  inflate(stream: Uint8Array, flush: number): number;
  inflateReset(stream: Uint8Array): number;
  inflateEnd(stream: Uint8Array): number;
  version: string;
  addressOf(bytes: Uint8Array): bigint;
  textAt(address: bigint): string;
}

const calls: Calls | undefined = await bind();

/** Inflates gzip members, one after the other. Synchronous. Dispose of it: its state is not the collector's. */
export class Inflater implements Disposable {
  readonly #calls: Calls;
  readonly #stream = new Uint8Array(new ArrayBuffer(STREAM_BYTES));
  readonly #fields = new DataView(this.#stream.buffer);
  #isOpen = true;

  private constructor(bound: Calls) {
    this.#calls = bound;
    this.#require(bound.inflateInit2(this.#stream, GZIP_WINDOW_BITS, bound.version, STREAM_BYTES));
  }

  /** An inflater; `undefined` where the library is missing, or laid out as this module does not know it. */
  static open(): Inflater | undefined {
    return calls === undefined ? undefined : new Inflater(calls);
  }

  /**
   * Inflates as much of the input as the output has room for. Neither is kept.
   * @throws {InflateError} when the input is no gzip, or is damaged
   */
  inflate(input: Uint8Array, output: Uint8Array): Inflated {
    this.#point(AT.nextIn, AT.availIn, input);
    this.#point(AT.nextOut, AT.availOut, output);
    const result = this.#calls.inflate(this.#stream, NO_FLUSH);
    if (result !== OK && result !== STREAM_END && result !== BUF_ERROR) this.#require(result);
    return {
      consumed: input.byteLength - this.#fields.getUint32(AT.availIn, true),
      produced: output.byteLength - this.#fields.getUint32(AT.availOut, true),
      state: result === STREAM_END ? "end" : "more",
    };
  }

  /** Begins a new member. */
  reset(): void {
    this.#require(this.#calls.inflateReset(this.#stream));
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#calls.inflateEnd(this.#stream);
  }

  #point(pointer: number, length: number, bytes: Uint8Array): void {
    this.#fields.setBigUint64(pointer, this.#calls.addressOf(bytes), true);
    this.#fields.setUint32(length, bytes.byteLength, true);
  }

  #require(result: number): void {
    if (result === OK) return;
    const address = this.#fields.getBigUint64(AT.message, true);
    throw new InflateError(address === 0n ? `zlib error ${result}` : this.#calls.textAt(address));
  }
}

async function bind(): Promise<Calls | undefined> {
  if (!("deno" in process.versions) || process.platform !== "linux") return undefined;
  if (!["x64", "arm64"].includes(process.arch)) return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const library = koffi.load("libz.so.1");
    const version: string = library.func("zlibVersion", "str", [])();
    if (!version.startsWith("1.")) return undefined;
    return {
      inflateInit2: library.func("inflateInit2_", "int", ["void *", "int", "str", "int"]),
      inflate: library.func("inflate", "int", ["void *", "int"]),
      inflateReset: library.func("inflateReset", "int", ["void *"]),
      inflateEnd: library.func("inflateEnd", "int", ["void *"]),
      version,
      addressOf: (bytes) => koffi.address(bytes),
      textAt: (address) => koffi.decode(address, "char", -1),
    };
  } catch {
    return undefined;
  }
}
