// SPDX-License-Identifier: Apache-2.0
/**
 * Applies a settled layer to a tree that has what is below it: a copy of the parent, or a mounted writable layer. First
 * what the layer hides is removed, then its objects move over. The staged tree is used up.
 *
 * Objects are renamed; where the target is another mount they are copied, hard links of the layer included. Directories
 * that both have are merged and get the layer's metadata; an implied one has been given that of the directory below.
 * Times of directories come last, since filling them changes their times.
 *
 * @module
 */
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import { fromOsError, isOsError } from "../host/errno.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset } from "./change.ts";
import { copyMetadata, copyObject } from "./copy_object.ts";
import { ExactTree } from "./lower_tree.ts";

/** A settled layer, and the tree that it changes. */
export interface MergeRequest {
  /** As `settle()` gave it. */
  readonly changeset: Changeset;
  /** The tree that goes with it. */
  readonly tree: RootedDir;
  /** The tree below, changed in place. */
  readonly into: RootedDir;
}

/**
 * Applies the layer.
 * @throws {StrataError} what the system reports; the target is then half changed
 */
export function mergeChangeset(request: MergeRequest): void {
  try {
    removeHidden(request);
    new Merge(request).run();
  } catch (error) {
    throw fromOsError(error, "apply the layer to the tree");
  }
}

/** Paths are taken exactly: what the target reaches through a symlink is not what the layer hides. */
function removeHidden({ changeset, into }: MergeRequest): void {
  const below = new ExactTree(into);
  const hidden = changeset.whiteouts.filter((path) => below.stat(path) !== undefined);
  for (const dir of changeset.opaques) {
    if (below.hasDir(dir)) hidden.push(...into.list(dir).map(({ name }) => joinPath(dir, name)));
  }
  for (const path of hidden) into.removeTree(path);
}

/** What the machine's security policy put on a directory is not the layer's to remove. */
const POLICY_XATTR = "security.selinux";

class Merge {
  readonly #tree: RootedDir;
  readonly #into: RootedDir;
  /** Directories whose metadata is put right at the end, with what it is to be. */
  readonly #dirs: { readonly path: LayerPath; readonly stat: FileStat; readonly origin: "merged" | "copied" }[] = [];
  /** Where objects with several names were copied to. */
  readonly #copies = new Map<string, LayerPath>();
  #renames: "possible" | "cross mounts" = "possible";

  constructor({ tree, into }: MergeRequest) {
    this.#tree = tree;
    this.#into = into;
  }

  run(): void {
    const pending = [ROOT];
    for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
      this.#rememberDir(dir, "merged");
      for (const { name } of this.#tree.list(dir)) {
        const path = joinPath(dir, name);
        if (this.#isDirInBoth(path)) pending.push(path);
        else this.#move(path);
      }
    }
    for (const dir of this.#dirs) this.#finishDir(dir);
  }

  /** Whether two directories are to be merged; if not, what is in the way of a rename is removed. */
  #isDirInBoth(path: LayerPath): boolean {
    const there = this.#into.stat(path);
    if (there === undefined) return false;
    const isDir = this.#tree.stat(path)?.type === "dir";
    if (isDir && there.type === "dir") return true;
    if (isDir || there.type === "dir" || this.#renames === "cross mounts") this.#into.removeTree(path);
    return false;
  }

  #move(path: LayerPath): void {
    if (this.#renames === "possible") {
      try {
        return this.#tree.renameInto(path, this.#into, path, { replace: "allow" });
      } catch (error) {
        if (!isOsError(error, "EXDEV")) throw error;
        this.#renames = "cross mounts";
        this.#into.removeTree(path);
      }
    }
    this.#copyTree(path);
  }

  #copyTree(from: LayerPath): void {
    const pending = [from];
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const stat = this.#tree.stat(path);
      if (stat === undefined) continue;
      this.#copy(path, stat);
      if (stat.type !== "dir") continue;
      this.#rememberDir(path, "copied");
      for (const { name } of this.#tree.list(path)) pending.push(joinPath(path, name));
    }
  }

  #copy(path: LayerPath, stat: FileStat): void {
    const key = stat.nlink > 1 && stat.type !== "dir" ? inodeKey(stat) : undefined;
    const first = key === undefined ? undefined : this.#copies.get(key);
    if (first !== undefined) return this.#into.link(first, path);
    if (key !== undefined) this.#copies.set(key, path);
    copyObject(this.#route, { source: path, target: path, stat });
  }

  #rememberDir(path: LayerPath, origin: "merged" | "copied"): void {
    const stat = this.#tree.stat(path);
    if (stat !== undefined) this.#dirs.push({ path, stat, origin });
  }

  #finishDir({ path, stat, origin }: { path: LayerPath; stat: FileStat; origin: "merged" | "copied" }): void {
    if (origin === "merged") this.#removeXattrs(path);
    copyMetadata(this.#route, { source: path, target: path, stat });
    this.#into.setTimes(path, stat);
  }

  /** The layer's directory replaces all attributes of the one below, as an upper directory does in a mount. */
  #removeXattrs(path: LayerPath): void {
    const staged = this.#tree.xattrs(path);
    for (const name of this.#into.xattrs(path).keys()) {
      if (!staged.has(name) && name !== POLICY_XATTR) this.#into.removeXattr(path, name);
    }
  }

  get #route() {
    return { from: this.#tree, to: this.#into, ownership: "archive" } as const;
  }
}
