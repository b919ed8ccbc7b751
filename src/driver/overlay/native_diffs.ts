// SPDX-License-Identifier: Apache-2.0
/**
 * What overlay layers change, told by their upper directories and without mounts.
 *
 * @module
 */
import type { Timespec } from "../../core/file_stat.ts";
import type { CacheId } from "../../core/ids.ts";
import type { LayerPath } from "../../core/layer_path.ts";
import type { Change } from "../../changeset/change.ts";
import { compareTrees, compareUpper } from "../../changeset/compare.ts";
import { applyOverlayDiff, isBlankOn, type OverlayStack } from "./apply_diff.ts";
import type { ApplyOptions, Diff, DiffDriver, DiffOptions } from "../interfaces/diff_driver.ts";
import { naiveDiffDriver } from "../naive/naive_diff.ts";
import { directorySize } from "../parts/directory_size.ts";
import { attempt, requireLayer } from "../parts/requests.ts";
import { viewedDiff, viewedDiffSize } from "../parts/view_diff.ts";
import type { OverlayDriver } from "./overlay_driver.ts";
import { ProgramDir } from "./program_dir.ts";
import { type MarkSpace, overlayDialect } from "./whiteouts.ts";

/** What the driver tells of itself. */
export interface NativeDiffsOptions {
  readonly marks: MarkSpace;
  /** What a program writes into upper directories is its own affair, so diffs are applied through its mounts. */
  readonly mounter: "kernel" | "program";
  /** Has a layer's mount write what it holds back. */
  readonly flush: (id: CacheId) => void;
}

/** Before every change, so that contents decide. Files of a shared layer are the same inode, and are not read. */
const BEGINNING: Timespec = { sec: 0, nsec: 0 };

/** Diffs between layers of one home. */
export class NativeDiffs implements DiffDriver {
  readonly #driver: OverlayDriver;
  readonly #options: NativeDiffsOptions;

  constructor(driver: OverlayDriver, options: NativeDiffsOptions) {
    this.#driver = driver;
    this.#options = options;
  }

  /** Of layers upon each other, the upper directory alone is walked. */
  changes(id: CacheId, parent: CacheId | undefined): Change[] {
    const stack = this.#stackOf(id);
    using now = this.#driver.view(stack);
    if (parent === undefined) return compareTrees({ now, before: undefined });
    using before = this.#driver.view(this.#stackOf(parent));
    if (stack[1]?.cacheId !== parent) return compareTrees({ now, before, unchangedBefore: BEGINNING });
    this.#options.flush(id);
    using upper = this.#driver.openTree(stack[0]);
    const copies = upper instanceof ProgramDir ? { isCopy: (path: LayerPath) => upper.isCopy(path) } : {};
    return compareUpper({ upper, dialect: overlayDialect(this.#options.marks), now, before, ...copies });
  }

  /** See {@link DiffDriver.diff}. */
  diff(id: CacheId, parent: CacheId | undefined, options: DiffOptions = {}): ReadableStream<Uint8Array> {
    return viewedDiff(this.#driver, { ...options, id, parent });
  }

  /** Of a layer on its own parent, all that it holds, as Docker's native driver says. */
  async diffSize(id: CacheId, parent: CacheId | undefined): Promise<number> {
    const [own, below] = this.#stackOf(id);
    if (below?.cacheId !== parent) return await viewedDiffSize(this.#driver, { id, parent });
    using tree = this.#driver.openTree(own);
    return attempt(`measure layer ${id}`, () => directorySize(tree));
  }

  /**
   * A blank layer gets the diff as its own files; others get it through a mount. fuse-overlayfs 1.10 loses owners in layers
   * whose attributes tell them, so those are changed without.
   */
  async applyDiff(id: CacheId, parent: CacheId | undefined, diff: Diff, options: ApplyOptions = {}): Promise<number> {
    const { marks, mounter } = this.#options;
    const stack = this.#stackOf(id);
    const isRecorded = this.#driver.capabilities.ownership === "recorded";
    if (!isRecorded && (mounter === "program" || !isBlankOn(stack, parent))) {
      return await naiveDiffDriver(this.#driver).applyDiff(id, parent, diff, options);
    }
    const idMappings = this.#driver.idMappingsOf(id);
    return await applyOverlayDiff(this.#driver, { ...options, diff, stack, idMappings, marks });
  }

  #stackOf(id: CacheId): OverlayStack {
    return [requireLayer(this.#driver.locate(id)), ...this.#driver.parentsOf(id)];
  }
}
