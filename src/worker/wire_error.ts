// SPDX-License-Identifier: Apache-2.0
/**
 * Errors between threads. Structured clone keeps neither the class nor the fields of an error, so an error crosses as
 * plain data and is made anew on the other side, causes included.
 *
 * @module
 */
import { type ErrorCode, type ErrorDetail, isStrataError, StrataError } from "../core/errors.ts";
import { fromOsError, isOsError } from "../host/errno.ts";

/** An error as plain data. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly strata: { code: ErrorCode; detail: ErrorDetail[ErrorCode]; hint: string | undefined } | undefined;
  readonly cause: WireError | undefined;
}

/** The error as data that can be posted. */
export function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) {
    return { name: "Error", message: String(error), stack: undefined, strata: undefined, cause: undefined };
  }
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    strata: isStrataError(error) ? { code: error.code, detail: error.detail, hint: error.hint } : undefined,
    cause: error.cause === undefined ? undefined : toWire(error.cause),
  };
}

/** The error again, as this thread's own. */
export function fromWire(wire: WireError): Error {
  const cause = wire.cause === undefined ? undefined : fromWire(wire.cause);
  if (wire.strata !== undefined) {
    const { code, detail, hint } = wire.strata;
    return new StrataError(code, wire.message, detail, {
      ...(cause === undefined ? {} : { cause }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  const error = new Error(wire.message, cause === undefined ? {} : { cause });
  error.name = wire.name;
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

/** The public form of a system call's failure; any other error as it is. `action` completes "Cannot …". */
export function publicForm(error: unknown, action: string): unknown {
  return isOsError(error) ? fromOsError(error, action) : error;
}
