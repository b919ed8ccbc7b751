// SPDX-License-Identifier: Apache-2.0
/**
 * Walking the frames of a zstd stream without decoding them. RFC 8878 section 3.1.
 *
 *   Magic  Descriptor [Window] [Dictionary] [Content size]   Block* [Checksum]      a frame
 *   Magic  Size                                              bytes                   a skippable frame
 *
 * A decoder sees the pieces between the cuts. That makes every decoder give the same: skippable frames never reach
 * it, no write crosses the end of a frame (some decoders silently stop there), what it may allocate is judged before
 * it sees the header, and a stream that is cut short is noticed here, since some decoders do not say.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";

/** What a frame's header says. */
export interface FrameHeader {
  /** Bytes that a decoder must keep. */
  readonly windowBytes: number;
  /** Bytes of the content, when the header tells. */
  readonly contentBytes: number | undefined;
  /** Whether the frame ends with 4 bytes of XXH64. */
  readonly checksum: "present" | "absent";
}

/** Bytes for a decoder. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly frame: FrameHeader;
  /** Whether these are the last bytes of the frame. */
  readonly position: "within" | "last";
}

/** A frame without data for the decoder. */
export interface SkippableFrame {
  /** Which of the 16 kinds it is. */
  readonly magic: number;
  /** Where its payload begins in the stream. */
  readonly offset: number;
  /** Bytes of the payload. */
  readonly length: number;
}

/** Learns of skippable frames as they pass. */
export interface SkippedFrames {
  /** A frame begins; its payload follows by `data`. */
  begin(frame: SkippableFrame): void;
  /** The next bytes of the payload, valid during the call only. */
  data(bytes: Uint8Array): void;
}

/** How {@link FrameWalker} cuts and what it refuses. */
export interface WalkOptions {
  /** Cut after frames only, or after each block too: a block gives 128 KiB at most, so that bounds a decoder's burst. */
  readonly cutAfter: "frame" | "block";
  /** Log2 of the largest window. */
  readonly windowLogMax: number;
  /** Is told of what no decoder sees. */
  readonly skipped?: SkippedFrames | undefined;
}

type State = "header" | "skip" | "block" | "body" | "checksum";

const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_HEADER_BYTES = 8;
const HEADER_BYTES_MAX = 18;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_BYTES_MAX = 128 * 1024;
const CHECKSUM_BYTES = 4;
const NO_FRAME: FrameHeader = { windowBytes: 0, contentBytes: undefined, checksum: "absent" };

/** Follows one stream. */
export class FrameWalker {
  readonly #options: WalkOptions;
  #state: State = "header";
  /** Bytes of the header in work; a chunk may end anywhere in it. */
  readonly #small = new Uint8Array(HEADER_BYTES_MAX);
  #smallBytes = 0;
  /** Bytes still to pass in the states `skip`, `body` and `checksum`. */
  #left = 0;
  #isLastBlock = false;
  #frame = NO_FRAME;
  /** The frame's whole header. */
  #head = new Uint8Array(0);
  /** Bytes walked so far. */
  #offset = 0;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /**
   * The pieces of the next chunk. They are views of it, headers excepted.
   * @throws {StrataError} `INVALID_ARCHIVE` for what is no zstd frame or needs a dictionary, `LIMIT_EXCEEDED` for a window
   */
  *walk(chunk: Uint8Array): Generator<Piece> {
    let from = 0;
    let at = 0;
    while (at < chunk.byteLength) {
      const before = this.#state;
      const end = at + this.#advance(chunk.subarray(at));
      this.#offset += end - at;
      at = end;
      const after = this.#state;
      if (before === "header") {
        if (after === "block") yield this.#piece(this.#head, "within");
        from = at;
      } else if (before === "skip") {
        this.#options.skipped?.data(chunk.subarray(from, at));
        from = at;
      } else if (after === "header") {
        yield this.#piece(chunk.subarray(from, at), "last");
        from = at;
      } else if (before === "body" && after === "block" && this.#options.cutAfter === "block") {
        yield this.#piece(chunk.subarray(from, at), "within");
        from = at;
      }
    }
    if (from < at) yield this.#piece(chunk.subarray(from, at), "within");
  }

  /**
   * To be called at the end of the stream.
   * @throws {StrataError} `INVALID_ARCHIVE` when it ends inside a frame
   */
  finish(): void {
    if (this.#state !== "header" || this.#smallBytes > 0) throw this.#invalid("the stream ends inside a frame");
  }

  #piece(bytes: Uint8Array, position: Piece["position"]): Piece {
    return { bytes, frame: this.#frame, position };
  }

  /** Takes bytes of the state in work from the front, and moves to the next state when they complete it. */
  #advance(bytes: Uint8Array): number {
    switch (this.#state) {
      case "header":
        return this.#takeHeader(bytes);
      case "block":
        return this.#takeBlockHeader(bytes);
      default:
        return this.#pass(bytes);
    }
  }

  #takeHeader(bytes: Uint8Array): number {
    let taken = 0;
    for (let need = this.#headerBytes(); this.#smallBytes < need; need = this.#headerBytes()) {
      const got = this.#collect(bytes.subarray(taken), need);
      taken += got;
      if (this.#smallBytes < need) return taken;
    }
    if (isSkippable(this.#magic())) {
      const length = u32(this.#small, 4);
      this.#options.skipped?.begin({ magic: this.#magic(), offset: this.#offset + taken, length });
      this.#moveTo("skip", length);
    } else {
      this.#frame = this.#parseHeader();
      this.#head = this.#small.slice(0, this.#smallBytes);
      this.#state = "block";
    }
    this.#smallBytes = 0;
    return taken;
  }

  /** Bytes that the header has, as far as those seen can tell. */
  #headerBytes(): number {
    if (this.#smallBytes < 4) return 4;
    if (isSkippable(this.#magic())) return SKIPPABLE_HEADER_BYTES;
    if (this.#magic() !== ZSTD_MAGIC) throw this.#invalid("data that is no zstd frame");
    if (this.#smallBytes < 5) return 5;
    const fields = fieldsOf(this.#small[4] ?? 0);
    return 5 + fields.windowBytes + fields.dictionaryBytes + fields.contentBytes;
  }

  #parseHeader(): FrameHeader {
    const descriptor = this.#small[4] ?? 0;
    if ((descriptor & 0x08) !== 0) throw this.#invalid("a frame header with the reserved bit set");
    const fields = fieldsOf(descriptor);
    let at = 5;
    const window = fields.windowBytes === 0 ? undefined : windowOf(this.#small[at] ?? 0);
    at += fields.windowBytes;
    if (littleEndian(this.#small, { at, size: fields.dictionaryBytes }) !== 0) {
      throw this.#invalid("a frame that needs a dictionary");
    }
    at += fields.dictionaryBytes;
    const stored = littleEndian(this.#small, { at, size: fields.contentBytes });
    const contentBytes = fields.contentBytes === 0 ? undefined : fields.contentBytes === 2 ? stored + 256 : stored;
    const windowBytes = window ?? contentBytes ?? 0;
    this.#checkWindow(windowBytes);
    return { windowBytes, contentBytes, checksum: (descriptor & 0x04) === 0 ? "absent" : "present" };
  }

  #checkWindow(windowBytes: number): void {
    const { windowLogMax } = this.#options;
    if (windowBytes <= 2 ** windowLogMax) return;
    throw new StrataError(
      "LIMIT_EXCEEDED",
      `Cannot decompress zstd: a frame wants a window of ${windowBytes} bytes, above zstdWindowLogMax (${windowLogMax}); ` +
        `compress it without "--long", or raise the limit`,
      { limit: "zstdWindowLogMax", max: windowLogMax },
    );
  }

  #takeBlockHeader(bytes: Uint8Array): number {
    const taken = this.#collect(bytes, BLOCK_HEADER_BYTES);
    if (this.#smallBytes < BLOCK_HEADER_BYTES) return taken;
    this.#smallBytes = 0;
    const header = littleEndian(this.#small, { at: 0, size: BLOCK_HEADER_BYTES });
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3) throw this.#invalid("a block of the reserved type");
    if (size > BLOCK_BYTES_MAX) throw this.#invalid(`a block of ${size} bytes`);
    this.#isLastBlock = (header & 1) === 1;
    this.#moveTo("body", type === 1 ? 1 : size);
    return taken;
  }

  #pass(bytes: Uint8Array): number {
    const taken = Math.min(this.#left, bytes.byteLength);
    this.#moveTo(this.#state, this.#left - taken);
    return taken;
  }

  /** Into a state that passes `left` bytes, or straight through it when there are none. */
  #moveTo(state: State, left: number): void {
    this.#left = left;
    this.#state = left > 0 ? state : this.#stateAfter(state);
    if (left === 0 && this.#state === "checksum") this.#left = CHECKSUM_BYTES;
  }

  #stateAfter(state: State): State {
    if (state !== "body") return "header";
    if (!this.#isLastBlock) return "block";
    return this.#frame.checksum === "present" ? "checksum" : "header";
  }

  #collect(bytes: Uint8Array, need: number): number {
    const taken = Math.min(need - this.#smallBytes, bytes.byteLength);
    this.#small.set(bytes.subarray(0, taken), this.#smallBytes);
    this.#smallBytes += taken;
    return taken;
  }

  #magic(): number {
    return u32(this.#small, 0);
  }

  #invalid(reason: string): StrataError<"INVALID_ARCHIVE"> {
    const offset = this.#offset;
    return new StrataError(
      "INVALID_ARCHIVE",
      `Cannot decompress zstd: ${reason}, at or after byte ${offset}; fetch or build the blob again`,
      { stage: "decompress", offset },
    );
  }
}

/** Sizes of the header's optional fields, from its descriptor. */
function fieldsOf(descriptor: number): { windowBytes: number; dictionaryBytes: number; contentBytes: number } {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentFlag = descriptor >> 6;
  return {
    windowBytes: isSingleSegment ? 0 : 1,
    dictionaryBytes: [0, 1, 2, 4][descriptor & 3] ?? 0,
    contentBytes: contentFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << contentFlag,
  };
}

/** RFC 8878 section 3.1.1.1.2: five bits of exponent, three of mantissa. */
function windowOf(byte: number): number {
  const base = 2 ** (10 + (byte >> 3));
  return base + (base / 8) * (byte & 7);
}

function isSkippable(magic: number): boolean {
  return magic >= SKIPPABLE_MAGIC && magic < SKIPPABLE_MAGIC + 16;
}

function u32(bytes: Uint8Array, at: number): number {
  return littleEndian(bytes, { at, size: 4 });
}

/** Content sizes have 8 bytes. What does not fit a number exactly is beyond every limit anyway. */
function littleEndian(bytes: Uint8Array, field: { at: number; size: number }): number {
  let value = 0;
  for (let i = field.at + field.size - 1; i >= field.at; i--) value = value * 256 + (bytes[i] ?? 0);
  return value;
}
