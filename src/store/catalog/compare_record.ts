// SPDX-License-Identifier: Apache-2.0
/**
 * What a record's layer changes: as a list, a number, or a tar. A reference that is not here is an error; containers/storage
 * takes the parent instead.
 *
 * @module
 */
import type { Change } from "../../changeset/change.ts";
import { compressStream, type WritableCompression } from "../../compression/compress.ts";
import { StrataError } from "../../core/errors.ts";
import { changes, type CompareOptions, diff, diffSize, type DiffStreamOptions } from "../changes.ts";
import type { StoreContext } from "../context.ts";
import { exportLayer } from "../export.ts";
import type { ReadingContext } from "../reading.ts";
import { resolveTarget, type Target, targetOf } from "../target.ts";
import { locate } from "../roots/locate.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";
import { findRecord } from "./find_record.ts";

/** How a tar is made. */
export interface DiffRecordOptions extends DiffStreamOptions {
  /** Default: none. */
  readonly compression?: WritableCompression;
}

/**
 * What a record's layer changes of its parent, or of another layer; sorted bytewise.
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `ABORTED`
 */
export async function recordChanges(
  context: StoreContext,
  ref: string,
  { from, ...options }: CompareOptions & { readonly from?: string | undefined },
): Promise<Change[]> {
  const { reading, target, reference } = compared(context, ref, from);
  return await changes(reading, target, { ...options, from: reference });
}

/**
 * Bytes of the files that a record's layer adds or changes, hard links once.
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `ABORTED`
 */
export async function recordDiffSize(
  context: StoreContext,
  ref: string,
  { from, ...options }: CompareOptions & { readonly from?: string | undefined },
): Promise<number> {
  const { reading, target, reference } = compared(context, ref, from);
  return await diffSize(reading, target, { ...options, from: reference });
}

/**
 * The change as a layer's tar: of a sealed layer and its parent byte for byte the one that was taken in, else a computed
 * one.
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; on the stream, `CORRUPT`, `ABORTED`, `NOT_SUPPORTED` for zstd
 */
export function recordDiff(
  context: StoreContext,
  ref: string,
  { from, compression = "none", ...options }: DiffRecordOptions & { readonly from?: string | undefined },
): ReadableStream<Uint8Array> {
  const { reading, target, reference } = compared(context, ref, from);
  const tar = target.kind === "layer" && isParent(target, reference)
    ? exportLayer(reading, target.record.chainId, options)
    : diff(reading, target, { ...options, from: reference });
  return compression === "none" ? tar : tar.pipeThrough(compressStream(compression, options));
}

/** What is compared, and what with. */
export interface Compared {
  readonly reading: ReadingContext;
  readonly target: Target;
  readonly reference: Target | undefined;
}

/**
 * What two words mean, where both lie.
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `CORRUPT`
 */
export function comparedTargets(context: StoreContext, ref: string, from: string | undefined): Compared {
  const { target, reading, root } = locate(context, ref);
  return { reading, target, reference: from === undefined ? undefined : referenceIn(reading, root, from) };
}

function compared(context: StoreContext, ref: string, from: string | undefined): Compared {
  const { record, root } = findRecord(context, ref);
  const reading = root?.reading ?? context;
  const reference = from === undefined ? undefined : referenceIn(reading, root, from);
  return { reading, target: targetOf(reading, record), reference };
}

/** Two trees can only be compared by the driver that shows both. */
function referenceIn(reading: ReadingContext, root: ReadOnlyRoot | undefined, from: string): Target {
  try {
    return resolveTarget(reading, from);
  } catch (cause) {
    if (root === undefined) throw cause;
    const message =
      `Cannot compare with "${from}": it is not in "${root.path}", where the layer lies; adopt that one first`;
    throw new StrataError("NOT_FOUND", message, { kind: "layer", ref: from }, { cause });
  }
}

function isParent(target: Target, reference: Target | undefined): boolean {
  if (reference === undefined) return true;
  return reference.kind === "layer" && reference.record.chainId === target.record.parent;
}
