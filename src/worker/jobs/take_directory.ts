// SPDX-License-Identifier: Apache-2.0
/**
 * A layer's contents out of a directory and of the layers that are there already, as the directory's manifest says.
 *
 *   manifest ─▶ each file: found in a layer by its digest? shared or copied from there : taken from the directory
 *            ─▶ read again, its digest compared ─▶ tar ⇣ tar-split
 *
 * Only contents are brought: names, owners and modes are in the tar that the manifest stands for, and whoever unpacks that
 * sets them. The tar is the one that `packTree` makes of a tree with these entries.
 *
 * @module
 */
import { MetadataWriter } from "../../changeset/apply_metadata.ts";
import type { Ownership } from "../../changeset/change.ts";
import { DropReport } from "../../changeset/drop_report.ts";
import { whiteoutOf } from "../../changeset/pack.ts";
import { type ByteString, display, fromText } from "../../core/bytes.ts";
import type { DiffId } from "../../core/digest.ts";
import { type ErrorDetail, StrataError } from "../../core/errors.ts";
import { inodeKey } from "../../core/file_stat.ts";
import { hostShift, IDENTITY, type IdMappings } from "../../core/id_map.ts";
import { ancestorsOf, type LayerPath, ROOT } from "../../core/layer_path.ts";
import type { Limits } from "../../core/limits.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import { loadDriver } from "../../driver/registry.ts";
import { copyContent } from "../../host/copy_tree.ts";
import { fromOsError, isOsError } from "../../host/errno.ts";
import type { OpenFile } from "../../host/open_file.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { TarWriter } from "../../tar/writer.ts";
import type { AbortFlag } from "../abort_flag.ts";
import { digestFile } from "../differ/digest_file.ts";
import { type DirectoryManifest, parseManifest, type TreeEntry } from "../differ/manifest.ts";
import { ReusableFiles, type ReusableLayer, type WantedContent } from "../differ/reusable_files.ts";
import type { Report } from "../job_map.ts";
import { SplitRecorder } from "../split_recorder.ts";

/** How contents of other layers are used: with shared blocks, as the same file, or as copies. */
export type Reuse = "reflink" | "hard link" | "copy";

/** A directory to be taken. */
export interface TakeDirectoryRequest {
  /** The directory: it has to have only the contents that no layer has. */
  readonly source: string;
  readonly manifest: DirectoryManifest | string;
  /** An empty directory that receives the contents. */
  readonly target: string;
  /** The tar-split file to be made. */
  readonly tarSplitPath: string;
  readonly reuse: Reuse;
  readonly driver: DriverSpec;
  readonly layers: readonly ReusableLayer[];
  readonly ownership: Ownership;
  readonly idMappings?: IdMappings | undefined;
  readonly limits: Limits;
}

/** Where contents came from. Files without content are not counted. */
export interface ContentCounts {
  /** Files whose content a layer of the store had. */
  readonly filesReused: number;
  /** Bytes of those. */
  readonly bytesReused: number;
  /** Files whose content came from the source. */
  readonly filesCopied: number;
  /** Bytes of those. */
  readonly bytesCopied: number;
  /** Bytes, of either, that take no room of their own: as shared blocks, or as a further name of a file. */
  readonly bytesShared: number;
}

/** What a directory was found to be. */
export interface TakenDirectory {
  readonly diffId: DiffId;
  /** Bytes of all files. */
  readonly sizeBytes: number;
  /** The owners, in ascending order. */
  readonly uids: readonly number[];
  /** The groups, in ascending order. */
  readonly gids: readonly number[];
  readonly counts: ContentCounts;
}

/**
 * Takes a directory.
 * @throws {StrataError} `INVALID_ARCHIVE` or `LIMIT_EXCEEDED` for the manifest, `DIGEST_MISMATCH` for a file that is not what
 *   it says, `NOT_FOUND` for one that nobody has, `ABORTED`
 */
export async function takeDirectory(
  request: TakeDirectoryRequest,
  _report: Report,
  abort: AbortFlag,
): Promise<TakenDirectory> {
  const entries = parseManifest(request.manifest, request.limits);
  const wanted = entries.filter(isContent);
  const driver = await loadDriver(request.driver);
  const reusable = await ReusableFiles.of(driver, { layers: request.layers, wanted, abort });
  using source = openSource(request.source);
  using target = RootedDir.open(request.target);
  using archive = new SplitRecorder(request.tarSplitPath);
  const placing = new Placing({ request, source, target, reusable, abort });
  const writer = new TarWriter((bytes) => archive.push(bytes));
  for (const entry of entries) {
    abort.check();
    if (isContent(entry)) await placing.place(entry);
    writeMember(writer, entry);
    if (isContent(entry)) placing.read(entry, (chunk) => writer.data(chunk));
  }
  writer.end();
  const { uids, gids } = ownersOf(entries);
  return { ...archive.end(), uids, gids, counts: placing.counts };
}

type ContentEntry = TreeEntry & WantedContent;

function isContent(entry: TreeEntry): entry is ContentEntry {
  return entry.digest !== undefined && entry.size > 0;
}

const ROOT_NAME: ByteString = fromText(".");

function writeMember(writer: TarWriter, entry: TreeEntry): void {
  const { path, type, mode, uid, gid, mtime, xattrs, size, target, major: devMajor, minor: devMinor } = entry;
  if (type === "whiteout") return writer.entry(whiteoutOf(path));
  const name = path === ROOT ? ROOT_NAME : path;
  const link = type === "symlink" || type === "hardlink" ? { linkName: target } : {};
  writer.entry({ name, type, mode, uid, gid, mtime, size, devMajor, devMinor, xattrs, ...link });
}

function ownersOf(entries: readonly TreeEntry[]): Pick<TakenDirectory, "uids" | "gids"> {
  const owned = entries.filter(({ type }) => type !== "whiteout" && type !== "hardlink");
  const sorted = (ids: number[]): number[] => [...new Set(ids)].sort((a, b) => a - b);
  return { uids: sorted(owned.map(({ uid }) => uid)), gids: sorted(owned.map(({ gid }) => gid)) };
}

function openSource(path: string): RootedDir {
  try {
    return RootedDir.open(path);
  } catch (error) {
    if (!isOsError(error, "ENOENT", "ENOTDIR")) throw fromOsError(error, `take the directory "${path}"`);
    const message = `Cannot take the directory "${path}": there is none; check the path`;
    throw new StrataError("NOT_FOUND", message, { kind: "directory", ref: path }, { cause: error });
  }
}

interface PlacingParts {
  readonly request: TakeDirectoryRequest;
  readonly source: RootedDir;
  readonly target: RootedDir;
  readonly reusable: ReusableFiles;
  readonly abort: AbortFlag;
}

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;

/** Brings contents into the target, under their paths. */
class Placing {
  readonly #parts: PlacingParts;
  readonly #metadata: MetadataWriter;
  readonly #made = new Set<LayerPath>();
  readonly #linked = new Set<string>();
  readonly #counts = { filesReused: 0, bytesReused: 0, filesCopied: 0, bytesCopied: 0, bytesShared: 0 };

  constructor(parts: PlacingParts) {
    const { ownership, idMappings = IDENTITY } = parts.request;
    this.#parts = parts;
    const self = parts.target.stat(ROOT) ?? { uid: 0, gid: 0 };
    this.#metadata = new MetadataWriter({ ownership, report: new DropReport(), self, shift: hostShift(idMappings) });
  }

  get counts(): ContentCounts {
    return this.#counts;
  }

  async place(entry: ContentEntry): Promise<void> {
    this.#makeParents(entry.path);
    const how = await this.#parts.reusable.use(entry, (file) => this.#reuse(entry, file));
    if (how === undefined) this.#fetch(entry);
    else {
      this.#counts.filesReused++;
      this.#counts.bytesReused += entry.size;
    }
  }

  /** Gives the content as it lies in the target, compared with what the manifest says. */
  read({ path, size, digest }: ContentEntry, onChunk: (chunk: Uint8Array) => void): void {
    using file = this.#parts.target.openRead(path);
    requireSize(path, file, size);
    const actual = digestFile(file, { abort: this.#parts.abort, onChunk });
    if (actual.digest === digest) return;
    refuseContent(path, { expected: digest, actual: actual.digest, sizeBytes: actual.sizeBytes });
  }

  #reuse(entry: ContentEntry, file: OpenFile): "placed" {
    if (this.#parts.request.reuse !== "hard link" || this.#tryLink(entry, file) === "refused") this.#copy(entry, file);
    return "placed";
  }

  #fetch(entry: ContentEntry): void {
    const { path, size } = entry;
    using file = this.#openSource(path);
    requireSize(path, file, size);
    this.#copy(entry, file);
    this.#counts.filesCopied++;
    this.#counts.bytesCopied += size;
  }

  #openSource(path: LayerPath): OpenFile {
    try {
      return this.#parts.source.openRead(path);
    } catch (error) {
      const ref = display(path);
      if (!isOsError(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO")) throw fromOsError(error, `read "${ref}"`);
      const message =
        `Cannot take "${ref}": no layer has its content, and "${this.#parts.request.source}" has no such file; ` +
        "complete the directory, or make its manifest again";
      throw new StrataError("NOT_FOUND", message, { kind: "file", ref }, { cause: error });
    }
  }

  #copy({ path, size }: ContentEntry, file: OpenFile): void {
    using copy = this.#parts.target.create(path, FILE_MODE);
    const reflink = this.#parts.request.reuse === "copy" ? "never" : "where possible";
    if (copyContent(file, copy, { reflink }) === "reflinked") this.#counts.bytesShared += size;
  }

  /** Names of one object share all that it is; and two members that are no hard links must not become one file. */
  #tryLink(entry: ContentEntry, file: OpenFile): "linked" | "refused" {
    const key = inodeKey(file.stat());
    const isFit = this.#metadata.fits({ ...entry, name: entry.path }, entry.mode, file) === "same";
    if (!isFit || this.#linked.has(key)) return "refused";
    try {
      this.#parts.target.linkOpen(file, entry.path);
    } catch (error) {
      if (!isOsError(error, "EXDEV", "EPERM", "EMLINK", "EOPNOTSUPP")) throw error;
      return "refused";
    }
    this.#linked.add(key);
    this.#counts.bytesShared += entry.size;
    return "linked";
  }

  #makeParents(path: LayerPath): void {
    for (const dir of ancestorsOf(path)) {
      if (this.#made.has(dir)) continue;
      this.#parts.target.mkdir(dir, DIR_MODE);
      this.#made.add(dir);
    }
  }
}

function requireSize(path: LayerPath, file: OpenFile, expected: number): void {
  const { size } = file.stat();
  if (size === expected) return;
  refuseContent(path, { expected: `${expected} bytes`, actual: `${size} bytes`, sizeBytes: size });
}

function refuseContent(path: LayerPath, detail: ErrorDetail["DIGEST_MISMATCH"]): never {
  const { expected, actual } = detail;
  throw new StrataError(
    "DIGEST_MISMATCH",
    `Cannot take "${
      display(path)
    }": its content is ${actual}, expected ${expected}; make the manifest again, or get the file again`,
    detail,
  );
}
