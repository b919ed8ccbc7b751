// SPDX-License-Identifier: Apache-2.0
/**
 * The names of a tree that is being unpacked, held in memory: what each leads to, and what a path through them means.
 *
 * The unpacker is the only writer of its tree, so it knows every name without asking the file system: whether a name is
 * taken, by what, and which directory a path with symlinks in it leads to. Nothing is remembered of a resolution: each
 * path is walked anew through the names as they are now (CVE-2021-32803, CVE-2025-47290). This is knowledge, not
 * protection; what keeps writes inside the tree is the kernel's own resolution (`host/rooted_dir.ts`).
 *
 * One object may have several names: hard links share the node, so "the same inode" is `===`.
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import type { FileType, Timespec } from "../core/file_stat.ts";
import { baseOf, componentsOf, joinPath, type LayerPath, parentOf, ROOT, stepsOf } from "../core/layer_path.ts";
import { SYMLINKS_MAX } from "../core/limits.ts";
import type { Redirects } from "./change.ts";
import { refuseLoop } from "./resolve.ts";
import { WHITEOUT_PREFIX } from "./whiteout.ts";

/** Both times of an object. */
export interface Times {
  readonly atime: Timespec;
  readonly mtime: Timespec;
}

/** A directory of the tree. */
export interface DirNode {
  readonly kind: "dir";
  readonly children: Map<ByteString, StagedNode>;
  /** Its member's; `undefined` as long as it has no member of its own and is only implied. */
  times: Times | undefined;
}

/** A symlink of the tree. */
export interface SymlinkNode {
  readonly kind: "symlink";
  readonly target: ByteString;
}

/** Any other object of the tree. */
export interface ObjectNode {
  readonly kind: "object";
  readonly type: Exclude<FileType, "dir" | "symlink">;
  /** Bytes of content. */
  readonly size: number;
}

/** A hard link to an object of the layers below: a taken name, without an object yet. */
export interface PendingNode {
  readonly kind: "pending";
  readonly target: LayerPath;
}

/** An object that was left out of the tree on purpose: a taken name all the same. */
export interface AbsentNode {
  readonly kind: "absent";
}

/** What a name leads to. */
export type StagedNode = DirNode | SymlinkNode | ObjectNode | PendingNode | AbsentNode;

/** A directory that a path leads to. Components that the tree does not have yet are in `missing`. */
export interface DirPlace {
  /** Without symlinks in it. */
  readonly path: LayerPath;
  /** The innermost directory on the way that the tree has. */
  readonly nearest: DirNode;
  /** What the tree lacks of `path`, outermost first; as a rule nothing. */
  readonly missing: readonly LayerPath[];
}

/** A new directory without names in it, implied until it gets its member's times. */
export function newDir(): DirNode {
  return { kind: "dir", children: new Map(), times: undefined };
}

/** The tree's names. */
export class StagedNames {
  /** The tree's root directory. */
  readonly root: DirNode = newDir();
  /** Every path that was taken for a directory although the tree did not have it: `Changeset.enteredDirs`. */
  readonly entered = new Set<LayerPath>();
  readonly #redirects: Redirects;

  /** Starts with the root alone. `redirects` are the symlinks below that the layer is known to meet. */
  constructor(redirects: Redirects) {
    this.#redirects = redirects;
  }

  /**
   * The directory that a path means: symlinks are followed as in a chroot, those of the tree and, where the tree has
   * nothing, those that the layers below are known to have. The tree is not changed.
   * @throws {StrataError} `INVALID_ARCHIVE` for a loop, and for a way through something that is no directory
   */
  resolveDir(path: LayerPath): DirPlace {
    const steps = componentsOf(path).reverse();
    let at = ROOT;
    /** The nodes along `at`, the root's first. */
    let trail: (DirNode | undefined)[] = [this.root];
    let links = 0;
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      if (step === "..") {
        if (trail.length > 1) trail.pop();
        at = parentOf(at);
        continue;
      }
      const next = joinPath(at, step);
      const node = trail[trail.length - 1]?.children.get(step);
      const turn = node === undefined ? this.#redirectAt(next) : node.kind === "symlink" ? node.target : undefined;
      if (turn !== undefined) {
        if (++links > SYMLINKS_MAX) refuseLoop(path);
        if (turn.startsWith("/")) [at, trail] = [ROOT, [this.root]];
        steps.push(...stepsOf(turn).reverse());
        continue;
      }
      if (node === undefined) this.#enter(next, step);
      else if (node.kind !== "dir") refuseParent(path, next);
      at = next;
      trail.push(node);
    }
    return placeOf(at, trail);
  }

  /** What a path leads to, a symlink at its end not followed; `undefined` when the tree has nothing there. */
  find(path: LayerPath): StagedNode | undefined {
    if (path === ROOT) return this.root;
    const { nearest, missing } = this.resolveDir(parentOf(path));
    return missing.length > 0 ? undefined : nearest.children.get(baseOf(path));
  }

  /** Bytes of all that is no directory; what has several names counts once. */
  bytes(): number {
    const counted = new Set<StagedNode>();
    let bytes = 0;
    for (const [, node] of this.walk()) {
      const size = node.kind === "object" ? node.size : node.kind === "symlink" ? node.target.length : 0;
      if (size === 0 || counted.has(node)) continue;
      counted.add(node);
      bytes += size;
    }
    return bytes;
  }

  /** Every name with its node, each directory before what lies in it. */
  *walk(from: DirNode = this.root, at: LayerPath = ROOT): Generator<readonly [LayerPath, StagedNode]> {
    const pending: [LayerPath, DirNode][] = [[at, from]];
    yield [at, from];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [dir, node] = next;
      for (const [name, child] of node.children) {
        const path = joinPath(dir, name);
        yield [path, child];
        if (child.kind === "dir") pending.push([path, child]);
      }
    }
  }

  #redirectAt(path: LayerPath): ByteString | undefined {
    return this.#redirects.size === 0 ? undefined : this.#redirects.get(path);
  }

  /** A directory of this name would be read as a whiteout by whoever packs the tree, so a symlink may not lead to one. */
  #enter(path: LayerPath, name: ByteString): void {
    if (name.startsWith(WHITEOUT_PREFIX)) refuseParent(path, path);
    this.entered.add(path);
  }
}

function placeOf(path: LayerPath, trail: readonly (DirNode | undefined)[]): DirPlace {
  let missing: LayerPath[] = NOTHING;
  let nearest = trail[trail.length - 1];
  for (let at = path, i = trail.length - 1; nearest === undefined; at = parentOf(at), nearest = trail[--i]) {
    missing = [at, ...missing];
  }
  return { path, nearest, missing };
}

const NOTHING: LayerPath[] = [];

function refuseParent(path: LayerPath, parent: LayerPath): never {
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot use "${display(path)}" as a directory: "${display(parent)}" is something else in the same layer; ` +
      "have the layer rebuilt",
    { stage: "unpack", entry: display(path) },
  );
}
