// SPDX-License-Identifier: Apache-2.0
/**
 * A differ for directories: a layer is put together from a manifest, out of the contents that the store has already and, for
 * the others, out of a directory.
 *
 * @module
 */
import type { RootedDir } from "../../host/rooted_dir.ts";
import { openFileStream } from "../../host/streams.ts";
import type { DirectoryManifest } from "../../worker/differ/manifest.ts";
import type { Reuse } from "../../worker/jobs/take_directory.ts";
import type { PackReport } from "../../worker/jobs/pack_directory.ts";
import { WorkerPool } from "../../worker/pool.ts";
import type { Differ, DifferOptions, DifferOutput } from "./differ.ts";

export type {
  DirectoryManifest,
  ManifestEntry,
  ManifestName,
  ManifestObject,
  ManifestXattr,
} from "../../worker/differ/manifest.ts";
export type { Reuse } from "../../worker/jobs/take_directory.ts";

/** A directory to be made a layer. */
export interface DirectoryDifferOptions {
  /** Path of the directory. Of its files only those are read whose contents no layer of the store has. */
  readonly source: string;
  /** What the layer is to hold; the document, or its JSON text. It may come from a stranger. */
  readonly manifest: DirectoryManifest | string;
  /**
   * How contents that a layer of the store has are used.
   *
   * - `reflink` (the default): a file of its own with shared blocks, where the file system has them; else a copy.
   * - `hard link`: one and the same file, where all its metadata is as the manifest says; else as `reflink`. Whoever writes
   *   into one layer's directory, past the store, then writes into others.
   * - `copy`: a copy.
   */
  readonly reuse?: Reuse;
}

/**
 * A differ that makes a layer of a directory, as its manifest tells. The layer's tar is the one that `packDirectory` makes of a
 * tree with these entries. Every content is read and compared with its digest.
 *
 * Staging fails with `INVALID_ARCHIVE` or `LIMIT_EXCEEDED` for the manifest, `DIGEST_MISMATCH` for a file that is not what the
 * manifest says, `NOT_FOUND` for one that neither the store nor the directory has, and `ABORTED`.
 *
 * @example Keep a directory as a layer, sharing what other layers have
 * ```ts
 * import { describeDirectory, directoryDiffer, LayerStore } from "@strata/layers";
 *
 * const root = `/tmp/strata-example-${crypto.randomUUID()}`;
 * await using store = await LayerStore.open({ root, runRoot: `${root}-run`, driver: "vfs" });
 * const manifest = await describeDirectory("src/core");
 * await using staged = await store.stageDiff(directoryDiffer({ source: "src/core", manifest }));
 * const { layer } = await store.registerStagedDiff(staged);
 * console.log(layer.diffId === staged.output.diffId); // true
 * ```
 */
export function directoryDiffer(directory: DirectoryDifferOptions): Differ {
  return {
    async applyDiff(target, options) {
      if (options.pool !== undefined) return await take(options.pool, { directory, target, options });
      await using pool = new WorkerPool();
      return await take(pool, { directory, target, options });
    },
  };
}

interface Taking {
  readonly directory: DirectoryDifferOptions;
  readonly target: RootedDir;
  readonly options: DifferOptions;
}

async function take(pool: WorkerPool, { directory, target, options }: Taking): Promise<DifferOutput> {
  const { source, manifest, reuse = "reflink" } = directory;
  const { workDir, ownership, idMappings, limits, driver, signal } = options;
  const tarSplitPath = `${workDir}/tar-split.json.gz`;
  const store = { ownership, idMappings, limits, driver, layers: options.layers() };
  const request = { source, manifest, reuse, target: target.path, tarSplitPath, ...store };
  const run = signal === undefined ? {} : { signal, whenAborted: "wait" as const };
  const { diffId, sizeBytes, counts: contents } = await pool.run("takeDirectory", request, run);
  const { stream: tarSplit } = await openFileStream(tarSplitPath);
  return { diffId, sizeBytes, contents, tarSplit };
}

/** How a directory is described. */
export interface DescribeDirectoryOptions {
  /** Names that are left out wherever they stand, with all that lies below. */
  readonly exclude?: readonly string[];
  /** Aborting ends the work with `ABORTED`. */
  readonly signal?: AbortSignal;
  /** Told at the end what the manifest does not hold: sockets, and names that would be read as whiteouts. */
  readonly onEnd?: (report: PackReport) => void;
}

/**
 * The manifest of a directory, the directory itself included. It is read in a thread.
 * @throws {StrataError} `IO` when there is no such directory or a file changes meanwhile, `NOT_PERMITTED`, `ABORTED`
 */
export async function describeDirectory(
  path: string,
  { exclude = [], signal, onEnd }: DescribeDirectoryOptions = {},
): Promise<DirectoryManifest> {
  await using pool = new WorkerPool();
  const run = signal === undefined ? {} : { signal };
  const { manifest, report } = await pool.run("describeDirectory", { path, exclude }, run);
  onEnd?.(report);
  return manifest;
}
