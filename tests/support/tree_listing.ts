// SPDX-License-Identifier: Apache-2.0
/**
 * All that can be seen of a tree on disk, for comparing it with what another program made of the same layers. Names
 * are bytes, nothing is followed, times are exact to the nanosecond.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ByteString, display } from "../../src/core/bytes.ts";
import { DigestWriter } from "../../src/core/digest.ts";
import { type FileStat, inodeKey } from "../../src/core/file_stat.ts";
import { joinPath, type LayerPath, ROOT } from "../../src/core/layer_path.ts";
import { readChunks } from "../../src/host/read_chunks.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";

/** What is there: its attributes as text. Those that do not apply are absent. */
export interface ListedEntry {
  readonly type: string;
  /** Octal, special bits included. */
  readonly mode: string;
  readonly owner: string;
  readonly mtime: string;
  readonly xattrs: string;
  /** Bytes of a regular file. */
  readonly size?: string;
  readonly sha256?: string;
  /** A symlink's. */
  readonly target?: string;
  /** A device's numbers. */
  readonly device?: string;
  /** The first path of the same object, for what has several. */
  readonly linkedTo?: string;
}

/** Entries by path, as {@link display} shows it; the root is `/`. */
export type TreeListing = ReadonlyMap<string, ListedEntry>;

/** An attribute in which two trees differ. */
export interface TreeDifference {
  readonly path: string;
  /** `entry` when only one tree has it. */
  readonly attribute: keyof ListedEntry | "entry";
  readonly ours: string | undefined;
  readonly theirs: string | undefined;
}

/** Lists a directory with all below it. */
export function listTree(directory: string): TreeListing {
  using root = RootedDir.open(directory);
  const listing = new Map<string, ListedEntry>();
  const firstNames = new Map<string, string>();
  const pending: LayerPath[] = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = root.stat(path);
    if (stat === undefined) throw new Error(`"${display(path)}" is listed but cannot be found`);
    const name = `/${display(path)}`;
    listing.set(name, { ...entryOf(root, path, stat), ...linkOf(name, stat, firstNames) });
    if (stat.type !== "dir") continue;
    // Reversed, so that paths come in order and the first name of an object is the same in equal trees.
    for (const { name: base } of root.list(path).reverse()) pending.push(joinPath(path, base));
  }
  return listing;
}

/** Every attribute in which two trees differ, in the order of the paths. */
export function differencesOf(ours: TreeListing, theirs: TreeListing): TreeDifference[] {
  const paths = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  return paths.flatMap((path): TreeDifference[] => {
    const [our, their] = [ours.get(path), theirs.get(path)];
    if (our === undefined || their === undefined) {
      return [{ path, attribute: "entry", ours: our?.type, theirs: their?.type }];
    }
    const attributes = new Set([...Object.keys(our), ...Object.keys(their)]) as Set<keyof ListedEntry>;
    return [...attributes].filter((attribute) => our[attribute] !== their[attribute])
      .map((attribute) => ({ path, attribute, ours: our[attribute], theirs: their[attribute] }));
  });
}

function entryOf(root: RootedDir, path: LayerPath, stat: FileStat): ListedEntry {
  const { type, mode, uid, gid, mtime, size, rdevMajor, rdevMinor } = stat;
  return {
    type,
    mode: mode.toString(8),
    owner: `${uid}:${gid}`,
    mtime: `${mtime.sec}.${String(mtime.nsec).padStart(9, "0")}`,
    xattrs: xattrText(root.xattrs(path)),
    ...(type === "file" ? { size: String(size), sha256: digestOfFile(root, path) } : {}),
    ...(type === "symlink" ? { target: display(root.readlink(path)) } : {}),
    ...(type === "char" || type === "block" ? { device: `${rdevMajor}:${rdevMinor}` } : {}),
  };
}

function linkOf(name: string, stat: FileStat, firstNames: Map<string, string>): { linkedTo?: string } {
  if (stat.type === "dir" || stat.nlink < 2) return {};
  const first = firstNames.get(inodeKey(stat));
  if (first !== undefined) return { linkedTo: first };
  firstNames.set(inodeKey(stat), name);
  return {};
}

function digestOfFile(root: RootedDir, path: LayerPath): string {
  const digest = new DigestWriter();
  for (const chunk of readChunks(root.openRead(path))) digest.update(chunk);
  return digest.finish();
}

function xattrText(attributes: ReadonlyMap<ByteString, Uint8Array>): string {
  return Array.from(attributes, ([name, value]) => `${display(name)}=${Buffer.from(value).toString("hex")}`).join();
}
