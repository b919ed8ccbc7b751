// SPDX-License-Identifier: Apache-2.0
/**
 * The one public error class. A code says what the caller does next; the detail is typed by the code; the message
 * says what could not be done, why, and how to go on; the cause is kept.
 *
 * What Docker's `layer` package (moby, layer/layer.go) calls by name is found so:
 *
 * | Docker | code | detail |
 * |---|---|---|
 * | `ErrLayerDoesNotExist` | `NOT_FOUND` | `kind: "layer"`, the ChainID |
 * | `ErrLayerNotRetained` | `NOT_RETAINED` | `kind: "layer"` or `"writable layer"`, the ChainID or the name |
 * | `ErrMountDoesNotExist` | `NOT_FOUND` | `kind: "writable layer"`, the name |
 * | `ErrMountNameConflict` | `CONFLICT` | `kind: "writable layer"`, the name |
 * | `ErrMaxDepthExceeded` | `MAX_DEPTH` | how deep it would be, and may be |
 * | "could not verify layer data" | `CORRUPT` | the damaged file, or the layer |
 * | "is not a parent of the specified layer" | `NOT_A_PARENT` | both layers |
 * | "failed to get … for …", of a record that cannot be read | `CORRUPT` | the file |
 * | "unexpected checksum", of the one who calls Docker's package | `DIGEST_MISMATCH` | what was expected, and what came |
 * | `ErrNotSupported` "driver not supported" | `NOT_SUPPORTED` | `lacking: "driver"` |
 * | `ErrPrerequisites` "prerequisites for driver not satisfied" | `NOT_SUPPORTED` | `lacking: "prerequisites"` |
 * | `ErrIncompatibleFS` "backing file system is unsupported" | `NOT_SUPPORTED` | `lacking: "file system"` |
 * | a driver's refusal to remove what is mounted | `IN_USE` | who needs it |
 *
 * @module
 */

/** Typed detail of each code. */
export interface ErrorDetail {
  /** An argument is malformed. Correct the call. */
  INVALID_ARGUMENT: { argument: string };
  /** No layer, record, writable layer, mount or image has this name. */
  NOT_FOUND: { kind: string; ref: string };
  /** A prefix fits several. Give a longer one. */
  AMBIGUOUS: { ref: string; candidates: readonly string[] };
  /** The name or id is taken. */
  CONFLICT: { kind: string; name: string };
  /** Something still needs it. */
  IN_USE: { kind: string; name: string; usedBy: readonly string[] };
  /** Another process holds the lock. Wait, or raise the timeout. */
  LOCKED: { path: string; holder?: string };
  /** A handle was released before, or belongs to another store. */
  NOT_RETAINED: { kind: string; ref: string };
  /** The chain has as many layers as a chain can have. */
  MAX_DEPTH: { depth: number; depthMax: number };
  /** The reference layer is not below the layer. */
  NOT_A_PARENT: { ref: string; of: string };
  /** Content is not what its address says. Fetch it again. */
  DIGEST_MISMATCH: { expected: string; actual: string; sizeBytes: number };
  /** The archive breaks a rule of its format, or asks for what is refused. */
  INVALID_ARCHIVE: { stage: Stage; offset?: number; entry?: string };
  /** A named limit of `core/limits.ts` was passed. */
  LIMIT_EXCEEDED: { limit: string; max: number; entry?: string };
  /** A record or file of the store is damaged or missing. */
  CORRUPT: { path: string };
  /** The disk is full. */
  NO_SPACE: { path: string };
  /** The process lacks a right. */
  NOT_PERMITTED: { path?: string };
  /** This kernel, file system, runtime or driver cannot do it. Of a driver, `lacking` says what it cannot work without. */
  NOT_SUPPORTED: { feature: string; lacking?: DriverLack };
  /** Another failure of the operating system. */
  IO: { syscall?: string; errno?: string; path?: string };
  /** The caller's signal fired. Nothing was left behind. */
  ABORTED: Record<never, never>;
}

/**
 * Why a driver cannot be used: there is none of this name; this machine or user lacks what it needs; or the file system
 * below its home does.
 */
export type DriverLack = "driver" | "prerequisites" | "file system";

/** The stage of the data's path in which an archive was refused. */
export type Stage = "source" | "blob" | "decompress" | "tar" | "tar-split" | "unpack" | "commit";

/** What went wrong, by what the caller does next. */
export type ErrorCode = keyof ErrorDetail;

/** Marks this package's errors, so that another copy of the package recognises them too. */
const kind: unique symbol = Symbol.for("strata.error") as never;

/** This package's error. Narrow it with {@link isStrataError}, then by `code`. */
export class StrataError<C extends ErrorCode = ErrorCode> extends Error {
  /** The class, for messages. */
  override readonly name = "StrataError";
  /** What the caller does next depends on this. */
  readonly code: C;
  /** Facts for a program, typed by the code. */
  readonly detail: ErrorDetail[C];
  /** One sentence for a person: what to do. */
  readonly hint: string | undefined;
  /** @ignore */
  readonly [kind] = true;

  /** An error with its detail; the cause and the hint where there are any. */
  constructor(code: C, message: string, detail: ErrorDetail[C], options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}

/** Any of this package's errors, discriminated by `code`. */
export type AnyStrataError = { [C in ErrorCode]: StrataError<C> }[ErrorCode];

/** True for this package's errors, whichever copy of the package threw them. */
export function isStrataError(error: unknown): error is AnyStrataError {
  return error instanceof Error && kind in error;
}

/** True for this package's errors of one code. */
export function hasCode<C extends ErrorCode>(error: unknown, code: C): error is StrataError<C> {
  return isStrataError(error) && error.code === code;
}
