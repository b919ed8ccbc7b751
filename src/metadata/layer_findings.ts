// SPDX-License-Identifier: Apache-2.0
/**
 * What is found among the layers' records that is not as it should be.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { statPath } from "../host/files.ts";
import { type Finding, pathOf } from "./finding.ts";

/** The name of a layer's record. */
const LAYER_NAME = /^[0-9a-f]{64}$/;

/** `NOT_FOUND`. */
export function layerNotFound(chainId: ChainId): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find layer ${chainId}: the store has no record of it; "strata layers" lists what there is`,
    { kind: "layer", ref: chainId },
  );
}

/** What is wrong with a layer, or beside it. */
export function layerFinding(
  severity: Finding["severity"],
  subject: string,
  { path, error }: { path: string; error: StrataError },
): Finding {
  return { severity, kind: "layer", subject, path: pathOf(error, path), error };
}

/** What is no layer, though it lies among them. Docker skips such entries without a word. */
export function strayEntry(name: string, path: string): Finding | undefined {
  const isLayerName = LAYER_NAME.test(name);
  if (isLayerName && statPath(path)?.type === "dir") return undefined;
  const problem = isLayerName ? "is not a directory" : "is not named by 64 hex digits";
  const error = new StrataError(
    "CORRUPT",
    `Cannot read "${path}" as a layer: it ${problem}; it is ignored, and may be removed by hand`,
    { path },
  );
  return { severity: "stray", kind: "layer", subject: name, path, error };
}
