// SPDX-License-Identifier: Apache-2.0
/**
 * What a word means and where that lies: in the store's own root, else in one that is only read.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { hasCode } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import type { StoreContext } from "../context.ts";
import type { ReadingContext } from "../reading.ts";
import { resolveTarget, type Target } from "../target.ts";
import type { ReadOnlyRoot } from "./read_only_root.ts";
import { rootOf } from "./refer.ts";

/** What a word means, and what to read it with. */
export interface LocatedTarget {
  readonly target: Target;
  readonly reading: ReadingContext;
  /** Absent: the store's own root. */
  readonly root?: ReadOnlyRoot;
}

/**
 * Resolves a word, in the own root first.
 * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when what is meant is damaged
 */
export function locate(context: StoreContext, ref: string): LocatedTarget {
  const [failure, own] = tried(() => resolveTarget(context, ref));
  if (own !== undefined) return { target: own, reading: context };
  for (const root of context.readOnlyRoots) {
    const [, target] = tried(() => resolveTarget(root.reading, ref));
    if (target !== undefined) return withOwnFiles(root, ref, target);
  }
  throw failure;
}

/**
 * With what a layer is to be read: the store itself, unless only another root has it.
 * @param record whose files are meant, where several records there stand for the layer
 */
export function readingOf(context: StoreContext, chainId: ChainId, record?: RecordId): ReadingContext {
  const root = rootOf(context, chainId);
  return (record === undefined ? root : root?.about(record))?.reading ?? context;
}

/** A word that means one record means that one's files. */
function withOwnFiles(root: ReadOnlyRoot, ref: string, target: Target): LocatedTarget {
  const [id, ...others] = target.recordIds;
  if (id === undefined || others.length > 0) return { target, reading: root.reading, root };
  const about = root.about(id);
  return { target: resolveTarget(about.reading, ref), reading: about.reading, root: about };
}

/** What is found, or that it is not there. */
function tried<T>(find: () => T): [failure: unknown, found: T | undefined] {
  try {
    return [undefined, find()];
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) return [error, undefined];
    throw error;
  }
}
