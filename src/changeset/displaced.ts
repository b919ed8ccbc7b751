// SPDX-License-Identifier: Apache-2.0
/**
 * Content that an archive brings and its tree does not show under the member's name, since a later member replaced the
 * file or a directory or symlink on the way. The archive can be rebuilt only if it is kept (I6), so it is moved aside
 * instead of being removed, until the tar-split has it.
 *
 * @module
 */
import { fromText } from "../core/bytes.ts";
import { hasCode } from "../core/errors.ts";
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { LostContent } from "./change.ts";
import type { ObjectNode, StagedNames, StagedNode } from "./staged_names.ts";

/** A member whose content is recorded under its name. */
interface Recorded {
  readonly entryIndex: number;
  readonly name: LayerPath;
  readonly node: ObjectNode;
}

/** No archive can bring this name into a tree: whiteouts of this form are ignored. */
const PASSING_NAME = joinPath(ROOT, fromText(".wh..wh.passing"));

/** Keeps replaced objects in a directory beside the tree. */
export class Displaced {
  readonly #tree: RootedDir;
  readonly #kept: RootedDir;
  readonly #recorded: Recorded[] = [];
  /** What was moved away with its new name. */
  readonly #moved: (readonly [LayerPath, StagedNode])[] = [];
  #nextName = 0;
  /** False as long as every member's name must still lead to its content. */
  #namesChanged: boolean;

  /** Moves objects of `tree` into `kept`; both lie in one file system. */
  constructor(tree: RootedDir, kept: RootedDir, options: { readonly redirected: boolean }) {
    this.#tree = tree;
    this.#kept = kept;
    // Under redirects a name may lead to its content through the layers below, until the layer takes that way over.
    this.#namesChanged = options.redirected;
  }

  /** Remembers a member whose content will be asked for by its name. */
  record(member: Recorded): void {
    this.#recorded.push(member);
  }

  /** Takes an object out of the tree. Only what can hold content is kept. */
  remove(path: LayerPath, node: StagedNode): void {
    this.#namesChanged = true;
    if (node.kind === "pending" || node.kind === "absent") return;
    if (node.kind === "symlink" || (node.kind === "object" && node.size === 0)) return this.#tree.unlink(path);
    const keptAs = this.#freshName();
    this.#tree.renameInto(path, this.#kept, keptAs, { replace: "never" });
    this.#moved.push([keptAs, node]);
  }

  /** All content that the tree cannot give back by name, in the archive's order. To be called once, at the end. */
  finish(names: StagedNames): LostContent[] {
    if (!this.#namesChanged) return [];
    const astray = this.#recorded.filter(({ name, node }) => findAtEnd(names, name) !== node);
    return astray.length === 0 ? [] : this.#keepAll(astray, names);
  }

  #keepAll(astray: readonly Recorded[], names: StagedNames): LostContent[] {
    const places = this.#places(names);
    let inTree: Map<StagedNode, LayerPath> | undefined;
    return astray.map(({ entryIndex, node }) => {
      let keptAs = places.get(node);
      if (keptAs === undefined) {
        inTree ??= new Map(Array.from(names.walk(), ([path, at]) => [at, path]));
        keptAs = this.#linkAside(inTree.get(node));
        places.set(node, keptAs);
      }
      return { entryIndex, keptAs };
    });
  }

  /** Where each object that was moved away lies now. */
  #places(names: StagedNames): Map<StagedNode, LayerPath> {
    const places = new Map<StagedNode, LayerPath>();
    for (const [keptAs, node] of this.#moved) {
      if (node.kind !== "dir") places.set(node, keptAs);
      else for (const [path, below] of names.walk(node, keptAs)) places.set(below, path);
    }
    return places;
  }

  /** Gives a file that is still in the tree, though not under its member's name, a second name among what is kept. */
  #linkAside(path: LayerPath | undefined): LayerPath {
    if (path === undefined) throw new Error("Cannot keep a replaced file: it is neither in the tree nor beside it");
    const keptAs = this.#freshName();
    this.#tree.link(path, PASSING_NAME);
    this.#tree.renameInto(PASSING_NAME, this.#kept, keptAs, { replace: "never" });
    return keptAs;
  }

  #freshName(): LayerPath {
    return joinPath(ROOT, fromText(String(this.#nextName++)));
  }
}

/** What a name leads to in the finished tree, where a file may have taken the place of a directory on the way. */
function findAtEnd(names: StagedNames, name: LayerPath): StagedNode | undefined {
  try {
    return names.find(name);
  } catch (error) {
    if (hasCode(error, "INVALID_ARCHIVE")) return undefined;
    throw error;
  }
}
