// SPDX-License-Identifier: Apache-2.0
/**
 * Where a layer's own files lie. containers/storage, layers.go, `DifferTarget`.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { CacheId } from "../../core/ids.ts";
import type { ReadingContext } from "../reading.ts";

/** The names under which drivers tell of it: Docker's for overlay2, ours for vfs. */
const KEYS = ["UpperDir", "SourceDir"] as const;

/**
 * The directory that holds a layer's own files, in the driver's form: with overlay2 what the layer changes, with vfs the
 * whole tree. What is written there is not noticed, and damages a layer that is published.
 * @throws {StrataError} `NOT_FOUND` when the driver has no such layer, `NOT_SUPPORTED` when it does not tell
 */
export function differTarget({ driver }: Pick<ReadingContext, "driver">, cacheId: CacheId): string {
  const metadata = driver.metadata(cacheId);
  for (const key of KEYS) {
    const dir = metadata[key];
    if (dir !== undefined) return dir;
  }
  throw new StrataError(
    "NOT_SUPPORTED",
    `Cannot tell where the files of layer ${cacheId} are: the driver "${driver.spec.name}" does not say; mount it instead`,
    { feature: "the directory of a layer's own files" },
  );
}
