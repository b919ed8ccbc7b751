// SPDX-License-Identifier: Apache-2.0
/**
 * Verifying that a layer can be given back.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { RecordId } from "../core/ids.ts";
import { hasCode, isStrataError, type StrataError } from "../core/errors.ts";
import type { ReadingContext } from "./reading.ts";
import { damaged, exportSource } from "./export.ts";

/** The outcome for one layer. */
export type Verification =
  | { readonly chainId: ChainId; readonly state: "ok" }
  | { readonly chainId: ChainId; readonly state: "bad"; readonly path: string; readonly error: StrataError };

/** How a layer is verified. */
export interface VerifyOptions {
  /** When it fires, the verification fails with `ABORTED`. */
  readonly signal?: AbortSignal;
  /** The record whose files are meant, where several in a further root stand for the layer, each with files of its own. */
  readonly record?: RecordId;
}

/**
 * Rebuilds a layer's tar in a thread, and compares its digest. Damage is a result, not an error.
 * @throws {StrataError} `ABORTED`; `NOT_PERMITTED` when this user may not read the layer's files, which is no damage
 */
export async function verify(
  context: ReadingContext,
  chainId: ChainId,
  options: Pick<VerifyOptions, "signal"> = {},
): Promise<Verification> {
  try {
    const { diffId, stack, tarSplitPath } = exportSource(context, chainId);
    const actual = await context.pool.run("verify", { driver: context.driver.spec, tarSplitPath, stack }, options);
    if (actual === diffId) return { chainId, state: "ok" };
    return bad(chainId, damaged(chainId, `its archive is ${actual} now, and was ${diffId}`));
  } catch (error) {
    if (hasCode(error, "ABORTED") || hasCode(error, "NOT_PERMITTED")) throw error;
    return bad(chainId, isStrataError(error) && error.code === "NOT_FOUND" ? error : damaged(chainId, error));
  }
}

function bad(chainId: ChainId, error: StrataError): Verification {
  const path = error.code === "CORRUPT" ? (error as StrataError<"CORRUPT">).detail.path : chainId;
  return { chainId, state: "bad", path, error };
}
