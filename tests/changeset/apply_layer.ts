// SPDX-License-Identifier: Apache-2.0
/**
 * The plainest reading of image-spec `layer.md`, "Applying Changesets": a yardstick for tests, without any of the care
 * that hostile archives need.
 *
 * @module
 */
import type { ByteString } from "../../src/core/bytes.ts";
import type { Timespec } from "../../src/core/file_stat.ts";
import { baseOf, joinPath, type LayerPath, parentOf, parseLayerPath, ROOT } from "../../src/core/layer_path.ts";
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from "../../src/changeset/whiteout.ts";
import type { RootedDir } from "../../src/host/rooted_dir.ts";
import type { TarEntry } from "../../src/tar/entry.ts";
import { type ReadMember, readMembers } from "../support/tar_reading.ts";

/** Joins the pieces of an archive. */
export function joined(chunks: Iterable<Uint8Array>): Uint8Array {
  const pieces = [...chunks];
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Applies a layer to a whole tree, in place. A root directory that the layer does not mention keeps its time. */
export function applyLayer(root: RootedDir, archive: Uint8Array): void {
  const members = readMembers(archive);
  const times = new Map<LayerPath, Timespec | undefined>([[ROOT, root.stat(ROOT)?.mtime]]);
  for (const member of members) applyMember(root, member);
  // Making and removing a child changes its directory's time, so all times are set at the end.
  for (const { entry } of members) times.set(parseLayerPath(entry.name), entry.mtime);
  for (const [path, mtime] of times) {
    if (root.stat(path) !== undefined) root.setTimes(path, { atime: undefined, mtime });
  }
}

function applyMember(root: RootedDir, { entry, payload }: ReadMember): void {
  const path = parseLayerPath(entry.name);
  const base = baseOf(path);
  if (base === OPAQUE_MARKER) throw new Error("An opaque marker is not expected here");
  if (base.startsWith(WHITEOUT_PREFIX)) {
    return root.removeTree(joinPath(parentOf(path), base.slice(WHITEOUT_PREFIX.length) as ByteString));
  }
  const standing = path === ROOT ? "dir" : root.stat(path)?.type;
  if (standing !== "dir" || entry.type !== "dir") {
    if (standing !== undefined) root.removeTree(path);
    make(root, path, entry);
  }
  if (entry.type === "hardlink") return;
  if (entry.type === "file") write(root, path, payload);
  root.setOwner(path, entry.uid, entry.gid);
  if (entry.type !== "symlink") root.setMode(path, entry.mode);
  for (const name of root.xattrs(path).keys()) root.removeXattr(path, name);
  for (const [name, value] of entry.xattrs) root.setXattr(path, name, value);
}

function make(root: RootedDir, path: LayerPath, entry: TarEntry): void {
  switch (entry.type) {
    case "dir":
      return root.mkdir(path, 0o755);
    case "hardlink":
      return root.link(parseLayerPath(entry.linkName), path);
    case "symlink":
      return root.symlink(path, entry.linkName);
    case "char":
    case "block":
    case "fifo":
      return root.mknod(path, { type: entry.type, mode: 0o600, major: entry.devMajor, minor: entry.devMinor });
    case "file":
      return;
    default:
      throw new Error(`A member of type ${entry.type} is not expected here`);
  }
}

function write(root: RootedDir, path: LayerPath, payload: Uint8Array): void {
  using made = root.create(path, 0o600);
  made.write(payload);
}
