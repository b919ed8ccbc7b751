// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer's own tree has that its archive has not. Who applies a second tar to a layer of containers/storage leaves a
 * tree of both, and a record and a tar-split of the last one: the archive is given back without a fault, and is not what
 * the layer holds.
 *
 * @module
 */
import type { ByteString } from "../../core/bytes.ts";
import { fromText } from "../../core/bytes.ts";
import type { FileStat } from "../../core/file_stat.ts";
import { ancestorsOf, baseOf, joinPath, type LayerPath, parentOf, ROOT } from "../../core/layer_path.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { resolvePath } from "../../changeset/resolve.ts";
import { WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";

/** A layer's own tree, and what is in it for other reasons than that its archive has it. */
export interface StrayRequest {
  readonly tree: Pick<RootedDir, "list" | "stat" | "readlink">;
  /** The paths of the archive's members. */
  readonly members: ReadonlySet<LayerPath>;
  /** Whether an object stands for an absence. */
  readonly isWhiteout: (stat: FileStat) => boolean;
  /** Whether a path is known from elsewhere, such as the tree of the layer below. */
  readonly isKnown: (path: LayerPath) => boolean;
}

const PREFIX = fromText(WHITEOUT_PREFIX);

/** The first path, bytewise, that nothing accounts for; `undefined` when there is none. */
export function findStray(request: StrayRequest): LayerPath | undefined {
  const { tree, members } = request;
  const plain = withAncestors(members);
  const resolved = once(() => withAncestors(resolvedIn(tree, members)));
  const isMember = (path: LayerPath): boolean => plain.has(path) || resolved().has(path);
  const pending: LayerPath[] = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = tree.stat(path);
    if (stat === undefined) continue;
    const name = request.isWhiteout(stat) ? whiteoutOf(path) : path;
    if (path !== ROOT && !plain.has(name) && !request.isKnown(path) && !isMember(name)) return path;
    if (stat.type === "dir") pending.push(...tree.list(path).map((entry) => joinPath(path, entry.name)).reverse());
  }
  return undefined;
}

function whiteoutOf(path: LayerPath): LayerPath {
  return joinPath(parentOf(path), (PREFIX + baseOf(path)) as ByteString);
}

function withAncestors(paths: Iterable<LayerPath>): ReadonlySet<LayerPath> {
  const all = new Set<LayerPath>();
  for (const path of paths) {
    all.add(path);
    for (const ancestor of ancestorsOf(path)) all.add(ancestor);
  }
  return all;
}

/** Where members came to lie whose paths lead through symlinks of the tree. */
function* resolvedIn(tree: StrayRequest["tree"], members: Iterable<LayerPath>): Generator<LayerPath> {
  for (const path of members) {
    const dir = resolvePath(parentOf(path), (at) => tree.stat(at)?.type === "symlink" ? tree.readlink(at) : undefined);
    yield joinPath(dir, baseOf(path));
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
