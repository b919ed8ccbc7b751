// SPDX-License-Identifier: Apache-2.0
/**
 * What an archive has and the tree that somebody else shows of it has not. That can be what he keeps to himself: the table
 * of contents and the landmarks of an eStargz layer (stargz-snapshotter, docs/estargz.md). It can be what a later
 * member replaces. Anything else is a tree of another layer, or a damaged one.
 *
 * @module
 */
import { display, fromText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { isWithin, type LayerPath, parseLayerPath } from "../core/layer_path.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";

const KEPT_BACK: ReadonlySet<LayerPath> = new Set(
  ["stargz.index.json", ".prefetch.landmark", ".no.prefetch.landmark"].map((name) => parseLayerPath(fromText(name))),
);

/** Watches the members of an archive go by. */
export class TreeGaps implements TarHandler {
  /** Files, and how many members of the name have been seen. */
  readonly #missing = new Map<LayerPath, number>();

  /** A file whose content the tree has not: said before its member is seen. */
  note(path: LayerPath): void {
    if (!KEPT_BACK.has(path)) this.#missing.set(path, 0);
  }

  /** Headers are of no interest. */
  segment(): void {}

  /** A member begins. A later one replaces a file of its name, and, when it is no directory, all below. */
  entry({ type, name }: TarEntry): void {
    if (this.#missing.size === 0 || type === "global" || type === "unknown") return;
    const path = parseLayerPath(name);
    for (const [missing, seen] of this.#missing) {
      if (missing === path && type === "file" && seen === 0) this.#missing.set(missing, 1);
      else if (missing === path || (type !== "dir" && isWithin(missing, path))) this.#missing.delete(missing);
    }
  }

  /** Contents are not, either. */
  data(): void {}

  /** Nor are their ends. */
  endEntry(): void {}

  /** The archive is complete. */
  end(): void {}

  /**
   * Refuses a tree that is not this archive's.
   * @throws {StrataError} `CORRUPT` naming the first file that it has not
   */
  requireNone(): void {
    const [missing] = this.#missing.keys();
    if (missing === undefined) return;
    const path = display(missing);
    throw new StrataError(
      "CORRUPT",
      `Cannot use the layer's tree: it has no file "${path}" of the size that the archive tells; show the layer again`,
      { path },
    );
  }
}
