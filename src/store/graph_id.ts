// SPDX-License-Identifier: Apache-2.0
/**
 * Directories of the driver that a caller names: Docker's graph ids.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { type CacheId, parseCacheId } from "../core/ids.ts";
import type { StoreContext } from "./context.ts";

/**
 * The text as the name of a directory of the driver.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parseGraphId(text: string): CacheId {
  try {
    return parseCacheId(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError("INVALID_ARGUMENT", message, { argument: "graphId" }, { cause });
  }
}

/**
 * Makes sure that the driver has a directory.
 * @throws {StrataError} `NOT_FOUND`
 */
export function requireDirectory({ driver }: StoreContext, id: CacheId): void {
  if (driver.exists(id)) return;
  throw new StrataError(
    "NOT_FOUND",
    `Cannot find directory ${id}: the driver "${driver.spec.name}" has none of that name`,
    { kind: "layer directory", ref: id },
  );
}
