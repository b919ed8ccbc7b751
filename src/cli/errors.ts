// SPDX-License-Identifier: Apache-2.0
/**
 * The command line's own errors. All others come from the library, or from the parser of options.
 *
 * @module
 */

/** What a command line can get wrong, beyond what the parser of options sees. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly hint: string | undefined;

  constructor(message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
  }
}

/** This machine or runtime lacks what the command line needs. */
export class EnvironmentError extends Error {
  override readonly name = "EnvironmentError";
  readonly hint: string;

  constructor(message: string, options: { readonly hint: string; readonly cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
  }
}

/** The reader of our output has gone away. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** Standard output cannot take what is written, for instance since its file's disk is full. */
export class OutputFailed extends Error {
  override readonly name = "OutputFailed";
  readonly errno: string | undefined;

  constructor(message: string, options: { readonly errno: string | undefined; readonly cause: unknown }) {
    super(message, { cause: options.cause });
    this.errno = options.errno;
  }
}
