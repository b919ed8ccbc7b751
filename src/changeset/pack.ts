// SPDX-License-Identifier: Apache-2.0
/**
 * Changes as a layer's tar: image-spec `layer.md`.
 *
 * The archive depends on the trees alone: members in bytewise order of their paths, attributes in bytewise order of
 * their names, whiteouts without owner, mode and time. It holds what a tree holds: times to the nanosecond, every
 * extended attribute byte for byte, hard links, the root directory as `./`. Sparse files are written whole.
 *
 * @module
 */
import { type ByteString, compareBytes, display, fromText } from "../core/bytes.ts";
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import { StrataError } from "../core/errors.ts";
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import { baseOf, componentsOf, joinPath, type LayerPath, parentOf, ROOT } from "../core/layer_path.ts";
import { CHUNK_BYTES } from "../core/limits.ts";
import { fromOsError } from "../host/errno.ts";
import type { TarMember } from "../tar/entry.ts";
import { TarWriter } from "../tar/writer.ts";
import type { Change } from "./change.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import { compareTrees } from "./compare.ts";
import type { TreeView } from "./tree_view.ts";
import { WHITEOUT_PREFIX } from "./whiteout.ts";

/** What holds for every archive. */
export interface PackOptions {
  /** Told of all that an archive cannot hold: sockets, names that would be read as whiteouts, xattrs with `=`. */
  readonly onSkip?: (skipped: DroppedAttribute) => void;
  readonly signal?: AbortSignal;
}

/** The changes to be packed. */
export interface PackRequest extends PackOptions {
  /** In any order. To unpack to the same tree, they hold the parents of what changed, as a comparison gives them. */
  readonly changes: readonly Change[];
  /** The tree that has what was added and modified. */
  readonly now: TreeView;
}

/**
 * A layer's tar, in chunks of at most 1 MiB, each in a buffer of its own.
 * @throws {StrataError} `IO` when a file changes while it is read, `ABORTED` when the signal fires; the archive then
 * lacks its end and cannot be taken for a whole one
 */
export function* packChanges(request: PackRequest): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  const packer = new Packer(request);
  for (const change of [...request.changes].sort((a, b) => compareBytes(a.path, b.path))) {
    yield* packer.change(change);
  }
  yield* packer.end();
}

/**
 * A whole tree as a tar, the root directory included.
 * @throws {StrataError} as {@link packChanges}
 */
export function packTree(
  view: TreeView,
  options: PackOptions = {},
): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  return packChanges({ ...options, now: view, changes: compareTrees({ now: view, before: undefined }) });
}

/** What the writer, which adds the slash, makes `./` of. */
const ROOT_NAME = fromText(".");

class Packer {
  readonly #request: PackRequest;
  readonly #queue = new ChunkQueue();
  readonly #writer = new TarWriter((bytes) => this.#queue.push(bytes));
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  /** The first path of every object with several. */
  readonly #firstPaths = new Map<string, LayerPath>();

  constructor(request: PackRequest) {
    this.#request = request;
  }

  *change({ path, kind }: Change): Generator<Uint8Array<ArrayBuffer>> {
    this.#throwIfAborted();
    if (componentsOf(path).some((component) => component.startsWith(WHITEOUT_PREFIX))) {
      return this.#skip(path, "name", "names that begin with .wh. mean deletions in a layer");
    }
    try {
      if (kind === "delete") this.#writer.entry(whiteoutOf(path));
      else yield* this.#object(path);
    } catch (error) {
      throw fromOsError(error, `pack "/${display(path)}"`);
    }
    yield* this.#queue.full();
  }

  *end(): Generator<Uint8Array<ArrayBuffer>> {
    this.#writer.end();
    yield* this.#queue.rest();
  }

  *#object(path: LayerPath): Generator<Uint8Array<ArrayBuffer>> {
    const stat = this.#request.now.stat(path);
    if (stat === undefined) refuseChanged(path, "it is gone since the changes were listed");
    const { type } = stat;
    if (type === "socket") return this.#skip(path, "socket", "a tar cannot hold sockets");
    const base = { ...metadataOf(path, stat), xattrs: this.#xattrsOf(path) };
    const first = this.#firstPathOf(path, stat);
    if (first !== undefined) {
      // The metadata is repeated: unpackers that set the owner again make the kernel drop security.capability.
      this.#writer.entry({ ...base, type: "hardlink", linkName: first });
    } else if (type === "file") {
      this.#writer.entry({ ...base, type, size: stat.size });
      yield* this.#content(path, stat.size);
    } else if (type === "symlink") {
      this.#writer.entry({ ...base, type, linkName: this.#request.now.readlink(path) });
    } else {
      this.#writer.entry({ ...base, type });
    }
  }

  #xattrsOf(path: LayerPath): Map<ByteString, Uint8Array> {
    const attributes = [...this.#request.now.xattrs(path)].sort(([a], [b]) => compareBytes(a, b));
    return new Map(attributes.filter(([name]) => {
      if (!name.includes("=")) return true;
      this.#skip(path, `xattr ${display(name)}`, "an equals sign ends the name in a tar");
      return false;
    }));
  }

  /** The path under which the same object was packed before; otherwise this one is remembered. */
  #firstPathOf(path: LayerPath, stat: FileStat): LayerPath | undefined {
    if (stat.type === "dir" || stat.nlink === 1) return undefined;
    const key = inodeKey(stat);
    const first = this.#firstPaths.get(key);
    if (first === undefined) this.#firstPaths.set(key, path);
    return first;
  }

  *#content(path: LayerPath, size: number): Generator<Uint8Array<ArrayBuffer>> {
    using file = this.#request.now.openRead(path);
    let left = size;
    while (left > 0) {
      this.#throwIfAborted();
      const count = file.read(this.#buffer.subarray(0, Math.min(left, CHUNK_BYTES)));
      if (count === 0) refuseChanged(path, `it shrank to ${size - left} bytes, ${size} were announced`);
      this.#writer.data(this.#buffer.subarray(0, count));
      left -= count;
      yield* this.#queue.full();
    }
    if (file.read(this.#buffer.subarray(0, 1)) > 0) refuseChanged(path, `it grew beyond ${size} bytes`);
  }

  #skip(path: LayerPath, attribute: string, reason: string): void {
    this.#request.onSkip?.({ entry: display(path), attribute, reason });
  }

  #throwIfAborted(): void {
    const { signal } = this.#request;
    if (!signal?.aborted) return;
    throw new StrataError("ABORTED", "Cannot finish the archive: the caller's signal fired", {}, {
      cause: signal.reason,
    });
  }
}

function metadataOf(path: LayerPath, stat: FileStat): Omit<TarMember, "type"> {
  return {
    name: path === ROOT ? ROOT_NAME : path,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
    devMajor: stat.rdevMajor,
    devMinor: stat.rdevMinor,
  };
}

/** The member that says that the layers below lose a path. */
export function whiteoutOf(path: LayerPath): TarMember {
  const name = joinPath(parentOf(path), `${WHITEOUT_PREFIX}${baseOf(path)}` as ByteString);
  return { name, type: "file", mode: 0, uid: 0, gid: 0, size: 0, mtime: { sec: 0, nsec: 0 } };
}

function refuseChanged(path: LayerPath, what: string): never {
  throw new StrataError(
    "IO",
    `Cannot pack "/${display(path)}": ${what}; pack again when nothing writes to the tree`,
    { path: display(path) },
  );
}
