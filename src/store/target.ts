// SPDX-License-Identifier: Apache-2.0
/**
 * What a user's word means: a writable layer by its name, or a layer by its record's id or name, its ChainID, or a
 * prefix of either.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import type { CacheId, RecordId } from "../core/ids.ts";
import { parseMountName } from "../metadata/mounts.ts";
import type { ReadingContext } from "./reading.ts";
import type { MountTarget } from "./mount.ts";

/** What a word stands for. */
export type Target = MountTarget & {
  /** The catalog records meant: one for an id or a name, all of the layer's for a ChainID. */
  readonly recordIds: readonly RecordId[];
};

/**
 * Resolves a word.
 * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when what is meant is damaged
 */
export function resolveTarget(context: ReadingContext, ref: string): Target {
  const writable = findWritable(context, ref);
  if (writable !== undefined) return writable;
  const { chainId, records } = context.catalog.resolve(ref, context.layerDb.list().layers.keys());
  const recordIds = records.map(({ id }) => id);
  const [first] = records;
  if (chainId !== undefined) return { kind: "layer", record: context.layerDb.read(chainId), recordIds };
  if (first?.target.kind === "writable") {
    return { kind: "writable", record: context.mounts.read(first.target.mountName), recordIds };
  }
  throw new StrataError("NOT_FOUND", `Cannot find "${ref}": its record stands for no layer`, { kind: "layer", ref });
}

/**
 * Resolves a word that must mean a layer, not a writable one.
 * @throws {StrataError} `INVALID_ARGUMENT` when it names a writable layer, and as {@link resolveTarget}
 */
export function resolveChain(context: ReadingContext, ref: string): ChainId {
  const target = resolveTarget(context, ref);
  if (target.kind === "layer") return target.record.chainId;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use "${ref}" here: it is a writable layer; commit it first, and use the layer that makes`,
    { argument: ref },
  );
}

/** The directory of what was resolved. */
export function cacheIdOf(target: MountTarget): CacheId {
  return target.kind === "layer" ? target.record.cacheId : target.record.mountId;
}

/** The stack below what was resolved. */
export function parentOf(target: MountTarget): ChainId | undefined {
  return target.record.parent;
}

function findWritable({ mounts }: ReadingContext, ref: string): Target | undefined {
  try {
    return { kind: "writable", record: mounts.read(parseMountName(ref)), recordIds: [] };
  } catch (error) {
    if (hasCode(error, "NOT_FOUND") || hasCode(error, "INVALID_ARGUMENT")) return undefined;
    throw error;
  }
}
