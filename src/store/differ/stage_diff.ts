// SPDX-License-Identifier: Apache-2.0
/**
 * Having a differ fill a staging directory. No lock is held meanwhile (I7).
 *
 * @module
 */
import { display } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { type LayerPath, parseLayerPath, ROOT } from "../../core/layer_path.ts";
import { ensureDir } from "../../host/files.ts";
import { writeFileStream } from "../../host/streams.ts";
import type { Staging } from "../../metadata/staging.ts";
import { chunksOf, streamOf } from "../../stream/pipe.ts";
import { throwIfAborted } from "../../stream/signal.ts";
import { locationsOf } from "../chains.ts";
import { namingRoot, type StoreContext } from "../context.ts";
import type { Differ, DifferOutput, ReusableLayer } from "./differ.ts";
import { givenIn, StagedLayerDiff } from "./staged_layer_diff.ts";

/** How a diff is staged. */
export interface StageDiffOptions {
  /** Aborting leaves nothing behind; the differ has stopped then. */
  readonly signal?: AbortSignal;
}

/**
 * Has a differ fill a new staging directory.
 * @throws {StrataError} `INVALID_ARGUMENT` for whiteouts that are no paths, `NO_SPACE`, `LOCKED`, `ABORTED`
 * @throws whatever the differ throws
 */
export async function stageDiff(
  context: StoreContext,
  differ: Differ,
  options: StageDiffOptions = {},
): Promise<StagedLayerDiff> {
  context.dockerd.requireAbsent();
  throwIfAborted(options.signal);
  return await namingRoot(context, async () => {
    const staging = context.staging.create("stage-diff");
    try {
      return await fill(context, differ, { ...options, staging });
    } catch (error) {
      await staging[Symbol.asyncDispose]();
      throw error;
    }
  });
}

async function fill(
  context: StoreContext,
  differ: Differ,
  { staging, signal }: StageDiffOptions & { readonly staging: Staging },
): Promise<StagedLayerDiff> {
  const { tarSplit, whiteouts = [], ...output } = await applyDiff(context, differ, { staging, signal });
  if (tarSplit !== undefined) {
    const options = signal === undefined ? {} : { signal };
    const { unpackedBytesMax } = context.settings.limits;
    await writeFileStream(givenIn(staging).tarSplitPath, bounded(tarSplit, unpackedBytesMax), options);
  }
  throwIfAborted(signal);
  const archive = tarSplit === undefined ? "packed" : "given";
  if (archive === "given" && whiteouts.length > 0) refuseWhiteouts("the tar-split has those of the layer");
  return new StagedLayerDiff({ context, staging, output, archive, whiteouts: whiteouts.map(parseWhiteout) });
}

async function applyDiff(
  context: StoreContext,
  differ: Differ,
  { staging, signal }: { readonly staging: Staging; readonly signal: AbortSignal | undefined },
): Promise<DifferOutput> {
  const { driver, settings: { limits }, pool } = context;
  const given = givenIn(staging);
  ensureDir(given.recordDir, 0o700);
  const own = { limits, driver: driver.spec, pool, layers: () => reusableLayers(context) };
  const { output } = await driver.differs.applyDiffWithDiffer(
    { applyDiff: (target, options) => differ.applyDiff(target, { ...options, ...own }) },
    { staging: given.dataDir, ...(signal === undefined ? {} : { signal }) },
  );
  return output;
}

/** As text a tar-split has some 1.4 times the bytes of an archive without contents, and no archive has more than the limit. */
function bounded(tarSplit: ReadableStream<Uint8Array>, max: number): ReadableStream<Uint8Array> {
  const chunks = chunksOf(tarSplit);
  return streamOf(async function* () {
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      if (bytes > 2 * max) refuseTarSplit(max);
      yield chunk;
    }
  }, chunks);
}

function refuseTarSplit(max: number): never {
  throw new StrataError(
    "LIMIT_EXCEEDED",
    `Cannot stage the layer: no archive within unpackedBytesMax (${max} bytes) has so long a tar-split; raise that limit if ` +
      "the differ is trusted",
    { limit: "unpackedBytesMax", max },
  );
}

/** A layer whose chain is damaged has no files to give. */
function reusableLayers(context: StoreContext): ReusableLayer[] {
  const { layerDb } = context;
  return [...layerDb.list().layers.keys()].flatMap((chainId) => {
    try {
      const [own, ...below] = locationsOf(context, chainId);
      return own === undefined ? [] : [{ stack: [own, ...below], tarSplitPath: layerDb.tarSplitPath(chainId) }];
    } catch {
      return [];
    }
  });
}

function parseWhiteout(name: NonNullable<DifferOutput["whiteouts"]>[number]): LayerPath {
  const path = parseLayerPath(name);
  if (path !== name || path === ROOT) refuseWhiteouts(`"${display(name)}" is no plain relative path`);
  return path;
}

function refuseWhiteouts(why: string): never {
  const message = `Cannot stage the layer with the differ's whiteouts: ${why}`;
  throw new StrataError("INVALID_ARGUMENT", message, { argument: "whiteouts" });
}
