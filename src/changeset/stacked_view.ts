// SPDX-License-Identifier: Apache-2.0
/**
 * The merged tree of a stack of layer directories, computed without a mount: entry by entry what overlayfs shows with
 * `index`, `redirect_dir` and `metacopy` off.
 *
 * The rules, from the kernel's `overlayfs.rst`: an object that is no directory hides everything below it; directories
 * merge, and show the topmost one's metadata; a whiteout hides what is below, an opaque directory hides what is below
 * inside it. The root directory of a layer is never opaque: the kernel does not ask.
 *
 * Layers are immutable, so what a lookup learns of directories is kept for the view's life.
 *
 * @module
 */
import { type ByteString, compareBytes, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import type { FileStat } from "../core/file_stat.ts";
import { baseOf, componentsOf, joinPath, type LayerPath, parentOf, ROOT, stepsOf } from "../core/layer_path.ts";
import { SYMLINKS_MAX } from "../core/limits.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { DirEntry } from "../host/rooted_dir.ts";
import type { LayerDir } from "./mapped_dir.ts";
import { refuseLoop, resolvePath } from "./resolve.ts";
import type { TreeView } from "./tree_view.ts";

/** How a layer directory says that something below it is gone. */
export interface WhiteoutDialect {
  /** Whether the object stands for an absence. Only character devices can: listings ask for nothing else. */
  isWhiteout(stat: FileStat): boolean;
  /** Empty files that stand for absences, too; absent where there are none. */
  readonly files?: FileWhiteouts;
  /** Whether nothing below shows inside the layer's directory at `path`. Asked for real directories only. */
  isOpaque(layer: Pick<LayerDir, "xattrs">, path: LayerPath): boolean;
  /** Whether the attribute is the driver's own, and no part of the tree. */
  isPrivateXattr(name: ByteString): boolean;
}

/** How an empty file says that something below it is gone. */
export interface FileWhiteouts {
  /** Whether there may be such files in the layer's directory at `path`. Nothing is asked of files elsewhere. */
  mayBeIn(layer: Pick<LayerDir, "xattrs">, path: LayerPath): boolean;
  /** Whether the empty file at `path` is one. */
  isWhiteout(layer: Pick<LayerDir, "xattrs">, path: LayerPath): boolean;
}

/** A directory of the merged tree, at a path without symlinks. */
interface MergedDir {
  readonly type: "dir";
  readonly path: LayerPath;
  /** The topmost layer with it, whose metadata shows. */
  readonly top: LayerDir;
  readonly stat: FileStat;
  /** The layers whose directories show here, top first; in each, all parents are directories too. */
  readonly layers: readonly LayerDir[];
  /** Lookups answered by asking each layer; after {@link LOOKUPS_BEFORE_LISTING} the directory is listed instead. */
  lookups: number;
  names: ReadonlyMap<ByteString, NameHolders> | undefined;
  /** Those of the layers in which empty files may be whiteouts; looked up when the first such file is met. */
  fileMarked: ReadonlySet<LayerDir> | undefined;
}

/** Anything else, at a path without symlinks in its parents. */
interface Leaf {
  readonly type: "leaf";
  readonly path: LayerPath;
  readonly top: LayerDir;
  readonly stat: FileStat;
}

type Node = MergedDir | Leaf;

/** The layers of a merged directory that have a name, top first. */
interface NameHolders {
  /** The topmost one's entry. */
  readonly entry: DirEntry;
  readonly layers: LayerDir[];
}

/** A lookup asks every layer of the directory once; a listing costs each layer about as much as this many lookups. */
const LOOKUPS_BEFORE_LISTING = 8;

/** Of a directory about which nothing was asked yet. */
const UNASKED = { lookups: 0, names: undefined, fileMarked: undefined } as const;

/** A stack of layer directories as one tree. It owns their handles. Failures of the system come as `OsError`. */
export class StackedView implements TreeView {
  readonly #layers: readonly LayerDir[];
  readonly #dialect: WhiteoutDialect;
  readonly #root: MergedDir;
  readonly #dirs = new Map<LayerPath, MergedDir>();
  /** The last answer: a caller that wants a file's content asks for its metadata and attributes first. */
  #last: { readonly path: LayerPath; readonly node: Node | undefined } | undefined;

  /**
   * Takes over the layers' handles; the topmost layer first.
   * @throws {StrataError} `INVALID_ARGUMENT` without a layer
   */
  constructor(layers: readonly LayerDir[], dialect: WhiteoutDialect) {
    this.#layers = layers;
    this.#dialect = dialect;
    const [top] = layers;
    const stat = top?.stat(ROOT);
    if (top === undefined || stat === undefined) {
      throw new StrataError("INVALID_ARGUMENT", "Cannot stack layers: the list is empty", { argument: "layers" });
    }
    this.#root = { type: "dir", path: ROOT, top, stat, layers, ...UNASKED };
    this.#dirs.set(ROOT, this.#root);
  }

  /** See {@link TreeView.stat}. */
  stat(path: LayerPath): FileStat | undefined {
    return this.#find(path)?.stat;
  }

  /**
   * See {@link TreeView.list}.
   * @throws {StrataError} `NOT_FOUND` when no directory is there
   */
  list(path: LayerPath): readonly DirEntry[] {
    const dir = this.#find(path);
    if (dir?.type !== "dir") refuseAbsent("directory", path);
    return this.#entriesOf(dir).sort((a, b) => compareBytes(a.name, b.name));
  }

  /**
   * See {@link TreeView.readlink}.
   * @throws {StrataError} `NOT_FOUND` when no symlink is there
   */
  readlink(path: LayerPath): ByteString {
    const node = this.#find(path);
    if (node?.stat.type !== "symlink") refuseAbsent("symlink", path);
    return node.top.readlink(node.path);
  }

  /**
   * See {@link TreeView.openRead}.
   * @throws {StrataError} `NOT_FOUND` when no regular file is there
   */
  openRead(path: LayerPath): OpenFile {
    const node = this.#find(path);
    if (node?.stat.type !== "file") refuseAbsent("regular file", path);
    return node.top.openRead(node.path);
  }

  /**
   * See {@link TreeView.openReadFollowing}.
   * @throws {StrataError} `NOT_FOUND` when no regular file is there
   */
  openReadFollowing(path: LayerPath): OpenFile {
    return this.openRead(this.resolve(path));
  }

  /**
   * See {@link TreeView.xattrs}.
   * @throws {StrataError} `NOT_FOUND` when nothing is there
   */
  xattrs(path: LayerPath): ReadonlyMap<ByteString, Uint8Array> {
    const node = this.#find(path);
    if (node === undefined) refuseAbsent("object", path);
    const attributes = node.top.xattrs(node.path);
    for (const name of attributes.keys()) {
      if (this.#dialect.isPrivateXattr(name)) attributes.delete(name);
    }
    return attributes;
  }

  /**
   * See {@link TreeView.resolve}.
   * @throws {StrataError} `INVALID_ARCHIVE` for a loop of symlinks
   */
  resolve(path: LayerPath): LayerPath {
    return resolvePath(path, (at) => {
      const node = this.#find(at);
      return node?.stat.type === "symlink" ? node.top.readlink(node.path) : undefined;
    });
  }

  /** Gives all handles back. */
  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }

  /** What lies at a path, the last component not followed. */
  #find(path: LayerPath): Node | undefined {
    if (path === ROOT) return this.#root;
    if (this.#last?.path === path) return this.#last.node;
    const parent = this.#enter(parentOf(path));
    const node = parent === undefined ? undefined : this.#child(parent, baseOf(path));
    this.#last = { path, node };
    return node;
  }

  /** The directory at a path, every symlink followed; `undefined` when the path leads to none. */
  #enter(path: LayerPath): MergedDir | undefined {
    const known = this.#dirs.get(path);
    if (known !== undefined) return known;
    const pending = componentsOf(path).reverse();
    let dir = this.#root;
    let links = 0;
    for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
      const node = step === ".." ? this.#dirs.get(parentOf(dir.path)) : this.#child(dir, step);
      if (node === undefined) return undefined;
      if (node.type === "dir") {
        dir = node;
        continue;
      }
      if (node.stat.type !== "symlink") return undefined;
      if (++links > SYMLINKS_MAX) refuseLoop(path);
      const target = node.top.readlink(node.path);
      if (target.startsWith("/")) dir = this.#root;
      pending.push(...stepsOf(target).reverse());
    }
    return dir;
  }

  #child(dir: MergedDir, name: ByteString): Node | undefined {
    const path = joinPath(dir.path, name);
    const known = this.#dirs.get(path);
    if (known !== undefined) return known;
    const node = this.#merge(path, dir, this.#holdersOf(dir, name));
    if (node?.type === "dir") this.#dirs.set(path, node);
    return node;
  }

  /** Overlayfs's lookup: `layers` are those of the parent directory that may have the name. */
  #merge(path: LayerPath, parent: MergedDir, layers: readonly LayerDir[]): Node | undefined {
    const merged: LayerDir[] = [];
    let dir: Pick<MergedDir, "top" | "stat"> | undefined;
    for (const layer of layers) {
      const stat = layer.stat(path);
      if (stat === undefined) continue;
      if (this.#dialect.isWhiteout(stat)) break;
      if (stat.type === "file" && stat.size === 0 && this.#isFileWhiteout(path, parent, layer)) break;
      if (stat.type !== "dir") {
        if (dir === undefined) return { type: "leaf", path, top: layer, stat };
        break;
      }
      dir ??= { top: layer, stat };
      merged.push(layer);
      if (layer !== layers.at(-1) && this.#dialect.isOpaque(layer, path)) break;
    }
    return dir && { type: "dir", path, ...dir, layers: merged, ...UNASKED };
  }

  #isFileWhiteout(path: LayerPath, parent: MergedDir, layer: LayerDir): boolean {
    const { files } = this.#dialect;
    return files !== undefined && this.#fileMarkedIn(parent).has(layer) && files.isWhiteout(layer, path);
  }

  #fileMarkedIn(dir: MergedDir): ReadonlySet<LayerDir> {
    const { files } = this.#dialect;
    dir.fileMarked ??= new Set(files && dir.layers.filter((layer) => files.mayBeIn(layer, dir.path)));
    return dir.fileMarked;
  }

  /** The layers to ask for a name: all of the directory's, until it has been listed. */
  #holdersOf(dir: MergedDir, name: ByteString): readonly LayerDir[] {
    if (dir.layers.length === 1) return dir.layers;
    if (dir.names === undefined && ++dir.lookups <= LOOKUPS_BEFORE_LISTING) return dir.layers;
    return this.#namesOf(dir).get(name)?.layers ?? [];
  }

  /** Every name that a layer has in a directory, whiteouts among them. */
  #namesOf(dir: MergedDir): ReadonlyMap<ByteString, NameHolders> {
    if (dir.names !== undefined) return dir.names;
    const names = new Map<ByteString, NameHolders>();
    for (const layer of dir.layers) {
      for (const entry of layer.list(dir.path)) {
        const holders = names.get(entry.name);
        if (holders === undefined) names.set(entry.name, { entry, layers: [layer] });
        else holders.layers.push(layer);
      }
    }
    dir.names = names;
    return names;
  }

  #entriesOf(dir: MergedDir): DirEntry[] {
    const entries = dir.layers.length === 1
      ? dir.top.list(dir.path)
      : Array.from(this.#namesOf(dir).values(), (holders) => holders.entry);
    const suspects = this.#fileMarkedIn(dir).size === 0 ? MAY_BE_WHITEOUT : MAY_BE_MARKED;
    return entries.filter((entry) => !suspects.has(entry.type) || this.#child(dir, entry.name) !== undefined);
  }
}

/** What the listing says of a whiteout, in any dialect; file systems may leave the type out. Others need no `stat`. */
const MAY_BE_WHITEOUT: ReadonlySet<DirEntry["type"]> = new Set(["char", undefined]);
/** The same, where files can be whiteouts. */
const MAY_BE_MARKED: ReadonlySet<DirEntry["type"]> = new Set([...MAY_BE_WHITEOUT, "file"]);

function refuseAbsent(kind: string, path: LayerPath): never {
  throw new StrataError("NOT_FOUND", `Cannot read "${display(path)}": the merged tree has no ${kind} there`, {
    kind,
    ref: display(path),
  });
}
