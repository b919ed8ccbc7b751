// SPDX-License-Identifier: Apache-2.0
/**
 * Finding contents in the layers that are there already, by their digests.
 *
 * Nobody keeps an index: the tar-splits of the layers tell names and sizes, so only files of a size that is needed are read,
 * each of them once, those of the same name first. A digest is that of the bytes that were just read; a layer that is
 * damaged, or deleted meanwhile, has none to give.
 *
 * @module
 */
import type { Digest } from "../../core/digest.ts";
import { hasCode } from "../../core/errors.ts";
import { type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import { REUSE_CANDIDATES_MAX } from "../../core/limits.ts";
import type { Driver } from "../../driver/driver.ts";
import type { DiffGetter } from "../../driver/interfaces/diff_driver.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import type { OpenFile } from "../../host/open_file.ts";
import type { AbortFlag } from "../abort_flag.ts";
import { tarSplitBatches } from "../tar_split_file.ts";
import { digestFile } from "./digest_file.ts";

/** A layer whose files may be used, and never changed. Plain data. */
export interface ReusableLayer {
  /** The layer and all below it, top first. */
  readonly stack: readonly [LayerLocation, ...LayerLocation[]];
  /** Path of the layer's gzipped tar-split: what its own files are. */
  readonly tarSplitPath: string;
}

/** A content that is needed. */
export interface WantedContent {
  readonly path: LayerPath;
  readonly size: number;
  readonly digest: Digest;
}

interface Candidate {
  readonly layer: ReusableLayer;
  readonly path: LayerPath;
}

/** The files of one size. */
class SizeClass {
  readonly #wanted = new Set<string>();
  readonly #others: Candidate[] = [];
  readonly #namesakes = new Map<string, Candidate[]>();

  want(path: LayerPath): void {
    this.#wanted.add(path);
  }

  add(candidate: Candidate): void {
    if (this.#wanted.has(candidate.path)) {
      const known = this.#namesakes.get(candidate.path);
      if (known === undefined) this.#namesakes.set(candidate.path, [candidate]);
      else known.push(candidate);
    } else if (this.#others.length < REUSE_CANDIDATES_MAX) this.#others.push(candidate);
  }

  /** The next file that was not read yet; those of this path first. */
  next(path: LayerPath): Candidate | undefined {
    const found = this.#namesakes.get(path)?.pop() ?? this.#others.pop();
    if (found !== undefined) return found;
    for (const [of, namesakes] of this.#namesakes) {
      const other = namesakes.pop();
      if (other !== undefined) return other;
      this.#namesakes.delete(of);
    }
    return undefined;
  }
}

/** The contents that layers have, of the sizes that are needed. */
export class ReusableFiles {
  readonly #driver: Driver;
  readonly #abort: AbortFlag;
  readonly #bySize = new Map<number, SizeClass>();
  readonly #byDigest = new Map<Digest, Candidate>();

  private constructor(driver: Driver, abort: AbortFlag) {
    this.#driver = driver;
    this.#abort = abort;
  }

  /** Reads the layers' tar-splits. */
  static async of(
    driver: Driver,
    { layers, wanted, abort }: {
      readonly layers: readonly ReusableLayer[];
      readonly wanted: readonly WantedContent[];
      readonly abort: AbortFlag;
    },
  ): Promise<ReusableFiles> {
    const files = new ReusableFiles(driver, abort);
    for (const { path, size } of wanted) {
      const known = files.#bySize.get(size) ?? new SizeClass();
      files.#bySize.set(size, known);
      known.want(path);
    }
    if (wanted.length > 0) { for (const layer of layers) await files.#scan(layer); }
    return files;
  }

  /** Gives a file of that content to `act`; `undefined` when there is none, or `act` gives that for all there are. */
  async use<T>(wanted: WantedContent, act: (file: OpenFile) => T | undefined): Promise<T | undefined> {
    const known = this.#byDigest.get(wanted.digest);
    const used = known === undefined ? undefined : await this.#open(known, act);
    if (used !== undefined) return used;
    const sizeClass = this.#bySize.get(wanted.size);
    for (let next = sizeClass?.next(wanted.path); next !== undefined; next = sizeClass?.next(wanted.path)) {
      const candidate = next;
      const result = await this.#open(candidate, (file) => this.#isIt(candidate, file, wanted) ? act(file) : undefined);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  #isIt(candidate: Candidate, file: OpenFile, wanted: WantedContent): boolean {
    if (file.stat().size !== wanted.size) return false;
    const { digest } = digestFile(file, { abort: this.#abort });
    if (!this.#byDigest.has(digest)) this.#byDigest.set(digest, candidate);
    return digest === wanted.digest;
  }

  async #scan(layer: ReusableLayer): Promise<void> {
    try {
      for await (const batch of tarSplitBatches(layer.tarSplitPath)) {
        this.#abort.check();
        for (const record of batch) {
          if (record.type !== "file" || record.size === 0) continue;
          this.#bySize.get(record.size)?.add({ layer, path: parseLayerPath(record.name) });
        }
      }
    } catch (error) {
      // It may just have been deleted; what is wrong with it is not asked here.
      if (hasCode(error, "ABORTED")) throw error;
    }
  }

  async #open<T>(candidate: Candidate, act: (file: OpenFile) => T | undefined): Promise<T | undefined> {
    const opened = await this.#tryOpen(candidate);
    if (opened === undefined) return undefined;
    await using _files = opened.files;
    using file = opened.file;
    return act(file);
  }

  /** A layer that is gone or damaged has no file. */
  async #tryOpen({ layer, path }: Candidate): Promise<{ files: DiffGetter; file: OpenFile } | undefined> {
    let files: DiffGetter;
    try {
      files = await this.#driver.diffGetter(layer.stack);
    } catch {
      return undefined;
    }
    try {
      return { files, file: files.openRead(path) };
    } catch {
      await using _files = files;
      return undefined;
    }
  }
}
