// SPDX-License-Identifier: Apache-2.0
/**
 * Trees as plain values, to be compared by an assertion.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ByteString, display } from "../core/bytes.ts";
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import type { TreeView } from "../changeset/tree_view.ts";

/**
 * What a tree holds: a file's content as text, `-> target` of a symlink, the type and numbers of a device. The name of a
 * directory ends with a slash, its value is empty. The root is left out.
 */
export type TreeShape = Readonly<Record<string, string>>;

/** The tree's shape. */
export function shapeOf(tree: TreeView): TreeShape {
  return Object.fromEntries(Array.from(walk(tree), ({ path, stat }) => shapeEntry(tree, path, stat)).slice(1));
}

/**
 * All that can be seen of a tree: per path a line with type, mode, owner, time, attributes, content, and which path of the
 * same object came first.
 */
export function listingOf(tree: TreeView): readonly string[] {
  const firstNames = new Map<string, LayerPath>();
  return Array.from(walk(tree), ({ path, stat }) => {
    const { type, mode, uid, gid, mtime } = stat;
    const time = `${mtime.sec}.${String(mtime.nsec).padStart(9, "0")}`;
    const [name, value] = shapeEntry(tree, path, stat);
    const fields = [name, type, mode.toString(8), `${uid}:${gid}`, time, xattrText(tree.xattrs(path)), value];
    if (type !== "dir") {
      const first = firstNames.get(inodeKey(stat));
      if (first === undefined) firstNames.set(inodeKey(stat), path);
      else fields.push(`= ${display(first)}`);
    }
    return fields.join(" ");
  });
}

/** A regular file's content. */
export function contentOf(tree: TreeView, path: LayerPath): Uint8Array {
  using file = tree.openRead(path);
  const bytes = new Uint8Array(file.stat().size);
  for (let length = 0; length < bytes.byteLength;) {
    const count = file.read(bytes.subarray(length));
    if (count === 0) return bytes.subarray(0, length);
    length += count;
  }
  return bytes;
}

function* walk(tree: TreeView): Generator<{ path: LayerPath; stat: FileStat }> {
  const pending: LayerPath[] = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = tree.stat(path);
    if (stat === undefined) throw new Error(`"${display(path)}" is listed but cannot be found`);
    yield { path, stat };
    if (stat.type !== "dir") continue;
    for (const { name } of [...tree.list(path)].reverse()) pending.push(joinPath(path, name));
  }
}

function shapeEntry(tree: TreeView, path: LayerPath, stat: FileStat): [string, string] {
  const name = display(path);
  switch (stat.type) {
    case "dir":
      return [`${name}/`, ""];
    case "symlink":
      return [name, `-> ${display(tree.readlink(path))}`];
    case "file":
      return [name, Buffer.from(contentOf(tree, path)).toString("latin1")];
    case "char":
    case "block":
      return [name, `${stat.type} ${stat.rdevMajor}:${stat.rdevMinor}`];
    default:
      return [name, stat.type];
  }
}

function xattrText(attributes: ReadonlyMap<ByteString, Uint8Array>): string {
  const pairs = Array.from(attributes, ([name, value]) => `${display(name)}=${Buffer.from(value).toString("hex")}`);
  return `{${pairs.join()}}`;
}
