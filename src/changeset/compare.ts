// SPDX-License-Identifier: Apache-2.0
/**
 * What a tree changes of the tree below it.
 *
 * The kinds are Docker's (`ChangesDirs` of its archive package): everything inside a new directory is an addition, a
 * directory that vanished is one deletion, a directory that became something else is one modification, and the parents
 * of what changed are modified. What is compared is more, so that a commit loses nothing: all extended attributes,
 * times to the nanosecond also of directories, symlink targets, hard links, and the root directory itself.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ByteString, compareBytes, display } from "../core/bytes.ts";
import { type FileStat, sameTime, type Timespec } from "../core/file_stat.ts";
import { joinPath, type LayerPath, parentOf, ROOT } from "../core/layer_path.ts";
import { fromOsError } from "../host/errno.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Change, ChangeKind } from "./change.ts";
import { LinkGroups, type Walk } from "./link_groups.ts";
import type { WhiteoutDialect } from "./stacked_view.ts";
import type { TreeView } from "./tree_view.ts";

/** Two trees to be compared. */
export interface CompareRequest {
  readonly now: TreeView;
  /** Absent: everything is new. */
  readonly before: TreeView | undefined;
  /**
   * When the new tree was last known to equal the old one. Files that were touched since and have equal metadata are
   * compared by content. Absent: equal metadata, modification time included, means equal content.
   */
  readonly unchangedBefore?: Timespec;
}

/** An overlay's upper directory, and the trees with and without it. */
export interface CompareUpperRequest {
  readonly upper: RootedDir;
  readonly dialect: WhiteoutDialect;
  /** The upper directory over the lower ones. */
  readonly now: TreeView;
  /** The lower directories. */
  readonly before: TreeView;
  /**
   * Whether a file of the upper is a copy of the one below. Given where making copies changes the root's time, which then
   * counts only where a name in the root came, went, or was given to another object.
   */
  readonly isCopy?: (path: LayerPath) => boolean;
}

/**
 * The changes that lead from one tree to the other, sorted bytewise by path. Both trees are walked whole.
 * @throws {StrataError} when a tree cannot be read
 */
export function compareTrees(request: CompareRequest): Change[] {
  const { now, before, unchangedBefore } = request;
  const comparison = new Comparison({
    now,
    before,
    contentsSince: unchangedBefore,
    walk: "whole trees",
    namesIn: (path) => namesOfBoth(request, path),
  });
  return comparison.run();
}

/**
 * The same changes as {@link compareTrees} finds with every content compared, but found by walking the upper directory
 * alone: what it does not hold has not changed. Only directories that hide what is below are compared name by name.
 * @throws {StrataError} when a tree cannot be read
 */
export function compareUpper(request: CompareUpperRequest): Change[] {
  const { upper, dialect, now, before, isCopy } = request;
  const cutOff = new Set<LayerPath>();
  const namesIn = (path: LayerPath): Iterable<ByteString> => {
    // The kernel does not ask whether the root is opaque.
    if (path === ROOT || !(cutOff.has(parentOf(path)) || dialect.isOpaque(upper, path))) return namesOf(upper, path);
    cutOff.add(path);
    return namesOfBoth(request, path);
  };
  const isOther = isCopy && ((path: LayerPath): boolean => {
    const type = now.stat(path)?.type;
    if (type !== before.stat(path)?.type) return true;
    if (type === "dir") return dialect.isOpaque(upper, path);
    return type === "symlink" ? now.readlink(path) !== before.readlink(path) : !isCopy(path);
  });
  return new Comparison({ now, before, contentsSince: BEGINNING, walk: "some names", namesIn, isOther }).run();
}

interface ComparisonPlan {
  readonly now: TreeView;
  readonly before: TreeView | undefined;
  readonly contentsSince: Timespec | undefined;
  readonly walk: Walk;
  /** Whether an object that both trees have took the other's place. Absent: the root's time tells. */
  readonly isOther?: ((path: LayerPath) => boolean) | undefined;
  /** The names to be compared in a directory that both trees have; names in neither tree do no harm. */
  namesIn(path: LayerPath): Iterable<ByteString>;
}

/** Earlier than every change. */
const BEGINNING: Timespec = { sec: -Infinity, nsec: 0 };
/** Bytes that are compared at once. */
const BLOCK_BYTES = 256 * 1024;

class Comparison {
  readonly #plan: ComparisonPlan;
  readonly #kinds = new Map<LayerPath, ChangeKind>();
  readonly #links: LinkGroups;
  /** Where the walk is, for messages. */
  #at: LayerPath = ROOT;

  constructor(plan: ComparisonPlan) {
    this.#plan = plan;
    this.#links = new LinkGroups(plan.walk);
  }

  run(): Change[] {
    try {
      this.#root();
    } catch (error) {
      throw fromOsError(error, `compare "/${display(this.#at)}" with the tree below`);
    }
    for (const path of this.#links.broken((path) => this.#kinds.has(path))) this.#modified(path);
    for (const path of [...this.#kinds.keys()]) this.#parentsModified(path);
    const changes = Array.from(this.#kinds, ([path, kind]): Change => ({ path, kind }));
    return changes.sort((a, b) => compareBytes(a.path, b.path));
  }

  /** The root is there in every tree, so it can be modified only. */
  #root(): void {
    const { now, before } = this.#plan;
    const root = now.stat(ROOT);
    const rootBefore = before?.stat(ROOT);
    if (root === undefined) return;
    if (rootBefore === undefined) {
      this.#modified(ROOT);
      return this.#addChildren(ROOT);
    }
    this.#children(ROOT);
    const isOld = this.#plan.isOther !== undefined && !this.#hasOtherNames(this.#plan.isOther);
    if (this.#differs(ROOT, isOld ? { ...root, mtime: rootBefore.mtime } : root, rootBefore)) this.#modified(ROOT);
  }

  #hasOtherNames(isOther: (path: LayerPath) => boolean): boolean {
    return Array.from(this.#kinds).some(([path, kind]) => {
      return parentOf(path) === ROOT && (kind !== "modify" || isOther(path));
    });
  }

  #children(dir: LayerPath): void {
    for (const name of this.#plan.namesIn(dir)) this.#entry(joinPath(dir, name));
  }

  #entry(path: LayerPath): void {
    this.#at = path;
    const now = this.#plan.now.stat(path);
    const before = this.#plan.before?.stat(path);
    if (before !== undefined && (now === undefined || now.type === "dir")) this.#links.noteGone(before);
    if (now === undefined) {
      if (before !== undefined) this.#kinds.set(path, "delete");
      return;
    }
    if (before === undefined) return this.#added(path, now);
    if (this.#differs(path, now, before)) this.#modified(path);
    if (now.type !== "dir") this.#links.note({ path, now, before });
    else if (before.type === "dir") this.#children(path);
    else this.#addChildren(path);
  }

  #added(path: LayerPath, now: FileStat): void {
    this.#kinds.set(path, "add");
    if (now.type === "dir") this.#addChildren(path);
    else this.#links.note({ path, now, before: undefined });
  }

  #addChildren(dir: LayerPath): void {
    for (const { name } of this.#plan.now.list(dir)) {
      const path = joinPath(dir, name);
      this.#at = path;
      const now = this.#plan.now.stat(path);
      if (now !== undefined) this.#added(path, now);
    }
  }

  #modified(path: LayerPath): void {
    if (!this.#kinds.has(path)) this.#kinds.set(path, "modify");
  }

  /** Stops at the first parent that is reported: its own turn takes care of those above it. */
  #parentsModified(path: LayerPath): void {
    for (let dir = parentOf(path); dir !== ROOT && !this.#kinds.has(dir); dir = parentOf(dir)) this.#modified(dir);
  }

  #differs(path: LayerPath, now: FileStat, before: FileStat): boolean {
    if (now.ino === before.ino && now.dev === before.dev) return false;
    return !hasSameStat(now, before) ||
      (now.type === "symlink" && this.#plan.now.readlink(path) !== this.#plan.before?.readlink(path)) ||
      !hasSameXattrs(this.#plan.now.xattrs(path), this.#plan.before?.xattrs(path)) ||
      (now.type === "file" && this.#mayBeRewritten(now) && !this.#hasSameContent(path));
  }

  #mayBeRewritten(now: FileStat): boolean {
    const { contentsSince: since } = this.#plan;
    if (since === undefined || now.size === 0) return false;
    return now.ctime.sec > since.sec || (now.ctime.sec === since.sec && now.ctime.nsec >= since.nsec);
  }

  #hasSameContent(path: LayerPath): boolean {
    using now = this.#plan.now.openRead(path);
    using before = this.#plan.before?.openRead(path);
    return before !== undefined && hasSameBytes(now, before);
  }
}

function namesOf(tree: Pick<TreeView, "list">, path: LayerPath): ByteString[] {
  return Array.from(tree.list(path), (entry) => entry.name);
}

function namesOfBoth({ now, before }: Pick<CompareRequest, "now" | "before">, path: LayerPath): Set<ByteString> {
  const names = new Set(namesOf(now, path));
  if (before !== undefined) { for (const name of namesOf(before, path)) names.add(name); }
  return names;
}

/** A directory's size says nothing of it; other types than files have none, or have it from their target. */
function hasSameStat(a: FileStat, b: FileStat): boolean {
  return a.type === b.type && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid &&
    a.rdevMajor === b.rdevMajor && a.rdevMinor === b.rdevMinor && sameTime(a.mtime, b.mtime) &&
    (a.type !== "file" || a.size === b.size);
}

function hasSameXattrs(
  a: ReadonlyMap<ByteString, Uint8Array>,
  b: ReadonlyMap<ByteString, Uint8Array> | undefined,
): boolean {
  if (a.size !== b?.size) return false;
  for (const [name, value] of a) {
    const other = b.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}

function hasSameBytes(a: OpenFile, b: OpenFile): boolean {
  const blockA = new Uint8Array(BLOCK_BYTES);
  const blockB = new Uint8Array(BLOCK_BYTES);
  for (;;) {
    const piece = readFull(a, blockA);
    if (Buffer.compare(piece, readFull(b, blockB)) !== 0) return false;
    if (piece.length < BLOCK_BYTES) return true;
  }
}

/** As many bytes as fit; fewer only at the end of the file. */
function readFull(file: OpenFile, into: Uint8Array): Uint8Array {
  let filled = 0;
  while (filled < into.length) {
    const count = file.read(into.subarray(filled));
    if (count === 0) break;
    filled += count;
  }
  return into.subarray(0, filled);
}
