// SPDX-License-Identifier: Apache-2.0
/**
 * Trees for tests: described as plain values, written to disk, and read back through a view as comparable text.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import fc from "fast-check";
import { type ByteString, fromText } from "../../src/core/bytes.ts";
import { type FileStat, inodeKey } from "../../src/core/file_stat.ts";
import { joinPath, type LayerPath, parseLayerPath, ROOT } from "../../src/core/layer_path.ts";
import type { WhiteoutDialect } from "../../src/changeset/stacked_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import type { OpenFile } from "../../src/host/open_file.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";

/** An object of a tree. What is absent has a default that all nodes share. */
export interface TreeNode {
  readonly type: "file" | "dir" | "symlink" | "fifo" | "char" | "socket" | "whiteout" | "link";
  readonly mode?: number;
  readonly owner?: number;
  readonly mtime?: readonly [sec: number, nsec: number];
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly content?: string;
  /** Of a symlink. */
  readonly target?: string;
  /** Of a `link`: which of the files written before, modulo their number; a file is written when there is none. */
  readonly to?: number;
  readonly opaque?: "opaque";
  readonly children?: Readonly<Record<string, TreeNode>>;
}

/** Overlayfs's own forms, with the privileged attributes. */
export const OVERLAY: WhiteoutDialect = {
  isWhiteout: (stat) => stat.type === "char" && stat.rdevMajor === 0 && stat.rdevMinor === 0,
  isOpaque: (layer, path) => {
    const value = layer.xattrs(path).get(OPAQUE);
    return value !== undefined && Buffer.from(value).toString("latin1") === "y";
  },
  isPrivateXattr: (name) => name.startsWith("trusted.overlay."),
};

const OPAQUE = fromText("trusted.overlay.opaque");

/** Options of tests that make devices, owners and trusted attributes. */
export const AS_ROOT = { skip: process.geteuid?.() === 0 ? false : "not root" };

/** A path literal. */
export function at(path: string): LayerPath {
  return parseLayerPath(fromText(path));
}

/** A directory of its own, removed at the end, with folders in it. */
export class Scratch implements Disposable {
  readonly dir: string = mkdtempSync(`${tmpdir()}/strata-trees-`);
  #count = 0;

  /** A fresh, empty folder's absolute path. */
  folder(): string {
    const path = `${this.dir}/${this.#count++}`;
    mkdirSync(path);
    return path;
  }

  /** A tree on disk; the caller owns the handle. */
  tree(node: TreeNode): RootedDir {
    const root = RootedDir.open(this.folder());
    writeTree(root, node);
    return root;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A directory node with these children. */
export function dir(children: Readonly<Record<string, TreeNode>> = {}, rest: Partial<TreeNode> = {}): TreeNode {
  return { type: "dir", children, ...rest };
}

/** A file node. */
export function file(content = "", rest: Partial<TreeNode> = {}): TreeNode {
  return { type: "file", content, ...rest };
}

/** Writes a tree into an empty directory. */
export function writeTree(root: RootedDir, node: TreeNode): void {
  writeChildren(root, { path: ROOT, node, files: [] });
  finish(root, ROOT, node);
}

interface Place {
  readonly path: LayerPath;
  readonly node: TreeNode;
  readonly files: LayerPath[];
}

function writeChildren(root: RootedDir, { path, node, files }: Place): void {
  for (const [name, child] of Object.entries(node.children ?? {})) {
    writeNode(root, { path: joinPath(path, fromText(name)), node: child, files });
  }
}

function writeNode(root: RootedDir, place: Place): void {
  const { path, node, files } = place;
  switch (node.type) {
    case "dir":
      root.mkdir(path, 0o755);
      writeChildren(root, place);
      break;
    case "symlink":
      root.symlink(path, fromText(node.target ?? "target"));
      break;
    case "whiteout":
      return root.mknod(path, { type: "char", mode: 0, major: 0, minor: 0 });
    case "char":
      root.mknod(path, { type: "char", mode: 0o600, major: 1, minor: 3 });
      break;
    case "fifo":
    case "socket":
      root.mknod(path, { type: node.type, mode: 0o600 });
      break;
    case "link": {
      const target = files[(node.to ?? 0) % Math.max(1, files.length)];
      if (target !== undefined) return root.link(target, path);
      writeFile(root, path, "unlinked");
      break;
    }
    case "file":
      writeFile(root, path, node.content ?? "");
      files.push(path);
  }
  finish(root, path, node);
}

function writeFile(root: RootedDir, path: LayerPath, content: string): void {
  using made = root.create(path, 0o644);
  made.write(Buffer.from(content, "latin1"));
}

/** Owner, mode, attributes and times, in the order in which one does not undo the other. */
function finish(root: RootedDir, path: LayerPath, node: TreeNode): void {
  const owner = node.owner ?? 0;
  root.setOwner(path, owner, owner);
  if (node.type !== "symlink") root.setMode(path, node.mode ?? (node.type === "dir" ? 0o755 : 0o644));
  for (const [name, value] of Object.entries(node.xattrs ?? {})) {
    root.setXattr(path, fromText(name), Buffer.from(value, "latin1"));
  }
  if (node.opaque !== undefined) root.setXattr(path, OPAQUE, Buffer.from("y"));
  const [sec, nsec] = node.mtime ?? [1_600_000_000, 0];
  root.setTimes(path, { atime: undefined, mtime: { sec, nsec } });
}

/** Everything that a view shows, a line a path; objects with several names carry the first of them. */
export function snapshot(view: TreeView): Record<string, string> {
  const lines: Record<string, string> = {};
  const firstNames = new Map<string, LayerPath>();
  const visit = (path: LayerPath): void => {
    const stat = view.stat(path);
    if (stat === undefined) return; // In a directory that is not merged, overlayfs lists whiteouts that lead nowhere.
    const first = firstNames.get(inodeKey(stat));
    if (stat.type !== "dir" && first === undefined) firstNames.set(inodeKey(stat), path);
    lines[`/${path}`] = [describe(view, path, stat), ...(first === undefined ? [] : [`= /${first}`])].join(" ");
    if (stat.type === "dir") { for (const { name } of view.list(path)) visit(joinPath(path, name)); }
  };
  visit(ROOT);
  return lines;
}

function describe(view: TreeView, path: LayerPath, stat: FileStat): string {
  const xattrs = Array.from(view.xattrs(path), ([name, value]) => `${name}=${Buffer.from(value).toString("hex")}`);
  return [
    stat.type,
    stat.mode.toString(8),
    `${stat.uid}:${stat.gid}`,
    `${stat.mtime.sec}.${stat.mtime.nsec}`,
    ...(stat.type === "char" ? [`${stat.rdevMajor},${stat.rdevMinor}`] : []),
    ...(stat.type === "symlink" ? [`-> ${view.readlink(path)}`] : []),
    ...(stat.type === "file" ? [JSON.stringify(readText(view.openRead(path)))] : []),
    ...xattrs.sort(),
  ].join(" ");
}

/** A small file's content, which is closed. */
export function readText(opened: OpenFile): string {
  using file = opened;
  const bytes = new Uint8Array(64 * 1024);
  return Buffer.from(bytes.subarray(0, file.read(bytes))).toString("latin1");
}

/** Which whiteouts and opaque directories a generated tree may hold. */
export interface Dialect {
  readonly whiteouts: "with" | "without";
}

const NAMES = ["a", "b", "c", "a.x", "d\u00e9"];

/** Small trees that often agree with each other, so that stacking and comparing them meets every case. */
export function anyTree({ whiteouts }: Dialect): fc.Arbitrary<TreeNode> {
  const metadata = {
    mode: fc.constantFrom(0o755, 0o4711),
    owner: fc.constantFrom(0, 1000),
    mtime: fc.constantFrom<[number, number]>([1_600_000_000, 0], [1_600_000_000, 123_456_789], [-5, 1]),
    xattrs: fc.constantFrom<Record<string, string>>({}, {}, { "trusted.t": "\x00\xff" }),
  };
  const { dir } = fc.letrec<{ node: TreeNode; dir: TreeNode }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.record({ type: fc.constant("file" as const), content: fc.constantFrom("one", "two", ""), ...metadata }),
      fc.record({ type: fc.constant("link" as const), to: fc.nat(3) }),
      fc.record({ type: fc.constant("symlink" as const), target: fc.constantFrom("a", "b/c", "/a", "../b", ".") }),
      fc.constantFrom<TreeNode>({ type: "fifo" }, { type: "char" }),
      ...(whiteouts === "with" ? [fc.constant<TreeNode>({ type: "whiteout" })] : []),
      tie("dir"),
      tie("dir"),
    ),
    dir: fc.record({
      type: fc.constant("dir" as const),
      children: fc.dictionary(fc.constantFrom(...NAMES), tie("node"), { maxKeys: 5 }),
      ...metadata,
      opaque: whiteouts === "with" ? fc.constantFrom("opaque" as const, undefined, undefined) : fc.constant(undefined),
    }).map(withoutUndefined),
  }));
  return dir;
}

function withoutUndefined({ opaque, ...rest }: Omit<TreeNode, "opaque"> & { opaque?: "opaque" | undefined }): TreeNode {
  return opaque === undefined ? rest : { ...rest, opaque };
}

/** Every path of up to three of the generated names. */
export function anyPaths(): LayerPath[] {
  const paths: ByteString[] = [];
  for (const a of NAMES) for (const b of NAMES) for (const c of NAMES) paths.push(fromText(`${a}/${b}/${c}`));
  for (const a of NAMES) for (const b of NAMES) paths.push(fromText(`${a}/${b}`));
  return paths.map((path) => parseLayerPath(path));
}

/** What becomes of a call, as text: its result, or that it fails. */
export function outcomeOf(call: () => unknown): string {
  try {
    return JSON.stringify(call()) ?? "nothing";
  } catch {
    return "refused";
  }
}

/** Mounts a stack of folders read only, top first; `undefined` where that cannot be done. */
export function mountStack(folders: readonly string[], target: string): Disposable | undefined {
  const options = `ro,index=off,redirect_dir=off,metacopy=off,lowerdir=${folders.join(":")}`;
  const mounted = spawnSync("mount", ["-t", "overlay", "overlay", "-o", options, target]);
  if (mounted.status !== 0) return undefined;
  return {
    [Symbol.dispose]() {
      spawnSync("umount", ["-l", target]);
    },
  };
}
