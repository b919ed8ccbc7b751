// SPDX-License-Identifier: Apache-2.0
/**
 * Applying a diff to a tree that is there: unpacked beside it first, so that a bad tar changes nothing, then merged into
 * it. What a diff hides is what the tree had before, wherever the whiteouts stand in the tar (image-spec `layer.md`).
 * Every path is confined to the tree, also where it leads through symlinks of the tree.
 *
 * @module
 */
import type { Changeset, Ownership } from "../../changeset/change.ts";
import { openOwnedTree } from "../../changeset/override_dir.ts";
import { MappedDir } from "../../changeset/mapped_dir.ts";
import { mergeChangeset } from "../../changeset/merge.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { openUnpacked, unpackArchive } from "../../changeset/unpack_archive.ts";
import { containerShift, type IdMappings } from "../../core/id_map.ts";
import { randomId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import { listNames, removeTreeAt } from "../../host/files.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { throwIfAborted } from "../../stream/signal.ts";
import type { Diff } from "../interfaces/diff_driver.ts";
import { makeDirectory, modifiedMsOf } from "../parts/layer_directory.ts";
import type { Awaitable } from "../interfaces/proto_driver.ts";
import type { Debris } from "../interfaces/layer_upkeep.ts";

/** Where a diff is unpacked, and on what. */
export interface UnpackDiffRequest {
  readonly diff: Diff;
  /** A directory in which a staging directory is made: a driver's home. */
  readonly home: string;
  /** The tree that the diff is applied to; absent: an empty one. */
  readonly below: TreeView | undefined;
  readonly ownership: Ownership;
  /** Under which ids the tree is kept. */
  readonly idMappings: IdMappings;
  readonly signal?: AbortSignal | undefined;
}

/** Begins the names of the directories in which diffs are unpacked, in the home. */
export const APPLY_PREFIX = ".strata-apply-";
const MODE = 0o700;

/**
 * Calls with the unpacked diff, and removes what is left of it.
 * @throws {StrataError} as unpacking does; `ABORTED`
 */
export async function withUnpacked<T>(
  { diff, home, ...request }: UnpackDiffRequest,
  use: (changeset: Changeset, tree: RootedDir) => Awaitable<T>,
): Promise<T> {
  if (diff.kind === "unpacked") {
    throwIfAborted(request.signal);
    return await use(diff.changeset, diff.tree);
  }
  const path = `${home}/${APPLY_PREFIX}${randomId()}`;
  try {
    makeDirectory(path, MODE);
    using staging = openOwnedTree(path, request.ownership);
    const changeset = await unpackArchive({ ...request, archive: diff.stream, staging });
    using tree = openUnpacked(staging);
    return await use(changeset, tree);
  } finally {
    if (!isTaken(diff.stream)) await diff.stream.cancel();
    removeTreeAt(path);
  }
}

/** A stream that nobody came to read still belongs to whoever was given it. */
function isTaken(stream: ReadableStream<Uint8Array>): boolean {
  return stream.locked;
}

/**
 * Applies a diff to a directory; gives the sum of its members' sizes.
 * @throws {StrataError} as {@link withUnpacked}; what the system reports, and the tree is then half changed
 */
export async function applyTo(into: RootedDir, request: Omit<UnpackDiffRequest, "below">): Promise<number> {
  const shift = containerShift(request.idMappings);
  using below = new PlainView(new MappedDir(into.openDir(ROOT), { shift }));
  return await withUnpacked({ ...request, below }, (changeset, tree) => {
    mergeChangeset({ changeset, tree, into });
    return changeset.sizeBytes;
  });
}

/** What killed processes have left of diffs. */
export function findUnpackedDiffs(home: string): Debris[] {
  return listNames(home).filter((name) => name.startsWith(APPLY_PREFIX)).flatMap((name) => {
    const path = `${home}/${name}`;
    const modifiedMs = modifiedMsOf(path);
    return modifiedMs === undefined ? [] : [{ path, what: "an unfinished diff", modifiedMs, use: "momentary" }];
  });
}
