// SPDX-License-Identifier: Apache-2.0
/**
 * Giving a layer's tar back, byte for byte.
 *
 * @module
 */
import type { ChainId, DiffId } from "../core/digest.ts";
import { DigestWriter } from "../core/digest.ts";
import { hasCode, isStrataError, StrataError } from "../core/errors.ts";
import type { LayerLocation } from "../driver/interfaces/layer_sealer.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { streamOf } from "../stream/pipe.ts";
import { abortable } from "../stream/signal.ts";
import { rebuildArchive } from "../worker/archive.ts";
import { LayerContents } from "../worker/layer_contents.ts";
import { locationsOf, recordsOf } from "./chains.ts";
import type { ReadingContext } from "./reading.ts";

/** A layer whose archive can be rebuilt. */
export interface ExportSource {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  readonly tarSplitPath: string;
  /** The layer and all below it, top first. */
  readonly stack: readonly [LayerLocation, ...LayerLocation[]];
}

/**
 * Finds what an export needs.
 * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
 */
export function exportSource(context: ReadingContext, chainId: ChainId): ExportSource {
  const [record] = recordsOf(context, chainId);
  const [own, ...below] = locationsOf(context, chainId);
  if (record === undefined || own === undefined) throw new Error(`Cannot export ${chainId}: its chain is empty`);
  return {
    chainId,
    diffId: record.diffId,
    tarSplitPath: context.layerDb.tarSplitPath(chainId),
    stack: [own, ...below],
  };
}

/**
 * The layer's tar. Every file's content is checked as it passes and the whole at the end: a layer that was damaged
 * makes the stream fail, it never ends cleanly with other bytes.
 * @throws {StrataError} `NOT_FOUND`, `CORRUPT`; on the stream, `CORRUPT`, `NOT_PERMITTED` for files that this user may not
 *   read, and, once the signal fires, `ABORTED`
 */
export function exportLayer(
  context: ReadingContext,
  chainId: ChainId,
  { signal }: { readonly signal?: AbortSignal } = {},
): ReadableStream<Uint8Array> {
  const source = exportSource(context, chainId);
  return streamOf(() => abortable(verifiedChunks(context, source), signal));
}

async function* verifiedChunks({ driver }: ReadingContext, source: ExportSource): AsyncGenerator<Uint8Array> {
  const { chainId, diffId, stack, tarSplitPath } = source;
  const digest = new DigestWriter();
  await using files = await driver.diffGetter(stack);
  const contents = new LayerContents(files);
  try {
    for await (const chunk of rebuildArchive(tarSplitPath, contents)) {
      digest.update(chunk);
      yield chunk;
    }
  } catch (error) {
    throw isRefused(error) ? refused(chainId, error) : damaged(chainId, error);
  }
  const actual = digest.finish();
  if (actual !== diffId) throw damaged(chainId, `its archive is ${actual} now, and was ${diffId}`);
}

/** That this user may not read a layer's files is no damage. */
function isRefused(error: unknown): boolean {
  return hasCode(error, "NOT_PERMITTED") || hasErrno(error, "EACCES", "EPERM");
}

function refused(chainId: ChainId, cause: unknown): StrataError {
  return fromOsError(cause, `give layer ${chainId} back`);
}

/** What is wrong with a layer that cannot be given back, whichever of its parts is damaged. */
export function damaged(chainId: ChainId, problem: unknown): StrataError {
  const path = isStrataError(problem) && problem.code === "CORRUPT" ? problem.detail.path : chainId;
  const reason = problem instanceof Error ? problem.message : String(problem);
  return new StrataError(
    "CORRUPT",
    `Cannot give layer ${chainId} back: ${reason}`,
    { path },
    { cause: problem, hint: "Remove the layer and register it again from where it came" },
  );
}
