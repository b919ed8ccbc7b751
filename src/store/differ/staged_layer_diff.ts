// SPDX-License-Identifier: Apache-2.0
/**
 * What a differ has staged, until it is registered or discarded.
 *
 *   strata/tmp/<id>/given/data/tree/             the differ's contents
 *   strata/tmp/<id>/given/record/tar-split.json.gz   the differ's tar-split, as it came
 *   strata/tmp/<id>/given/work                   the differ's own files
 *   strata/tmp/<id>/0/                           the layer that registering makes of it
 *
 * The directory is held like that of any operation: when its process dies, gc removes it.
 *
 * @module
 */
import type { LayerPath } from "../../core/layer_path.ts";
import { StrataError } from "../../core/errors.ts";
import type { Staging } from "../../metadata/staging.ts";
import { StagedLayer } from "../../worker/staged_layer.ts";
import type { StoreContext } from "../context.ts";
import type { DifferOutput } from "./differ.ts";

/** Of which archive a staged diff's contents are: of the one that its tar-split tells, or of the one that its tree packs to. */
export type StagedArchive = "given" | "packed";

/** What the differ has told, without what was taken from it. */
export type StagedOutput = Omit<DifferOutput, "tarSplit" | "whiteouts">;

/** @ignore */
export interface StagedLayerDiffParts {
  readonly context: StoreContext;
  readonly staging: Staging;
  readonly output: StagedOutput;
  readonly archive: StagedArchive;
  readonly whiteouts: readonly LayerPath[];
}

/** A layer's contents in a staging directory. Dispose of it with `await using`: what was not registered is removed then. */
export class StagedLayerDiff implements AsyncDisposable {
  /** What the differ has told of the layer. */
  readonly output: StagedOutput;
  /** Of which archive these are the contents. */
  readonly archive: StagedArchive;
  readonly #parts: StagedLayerDiffParts;
  #state: "staged" | "used up" = "staged";

  /** @ignore */
  constructor(parts: StagedLayerDiffParts) {
    this.#parts = parts;
    this.output = parts.output;
    this.archive = parts.archive;
  }

  /** Absolute path of the directory with the contents. */
  get dir(): string {
    return givenIn(this.#parts.staging).treeDir;
  }

  /**
   * Makes sure that it can be registered in this store.
   * @throws {StrataError} `NOT_RETAINED`
   * @ignore
   */
  require(context: StoreContext): void {
    if (this.#state === "staged" && this.#parts.context === context) return;
    const why = this.#state === "staged" ? "it belongs to another store" : "it was registered or discarded before";
    throw new StrataError(
      "NOT_RETAINED",
      `Cannot register the staged diff at "${this.dir}": ${why}; stage the layer again`,
      { kind: "staged diff", ref: this.dir },
    );
  }

  /**
   * Gives what is staged to be made a layer, once. The staging directory is the taker's to remove.
   * @throws {StrataError} `NOT_RETAINED`
   * @ignore
   */
  take(context: StoreContext): Pick<StagedLayerDiffParts, "staging" | "whiteouts"> {
    this.require(context);
    this.#state = "used up";
    return this.#parts;
  }

  /** Removes what is staged. Once it was registered or discarded there is nothing to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "used up") return;
    this.#state = "used up";
    await this.#parts.staging[Symbol.asyncDispose]();
  }
}

/** The differ's part of a staging directory. */
export function givenIn(staging: Staging): StagedLayer {
  return new StagedLayer(staging.path("given"));
}
