// SPDX-License-Identifier: Apache-2.0
/**
 * One layer's whole tar, unpacked and settled on the tree that it comes to lie on.
 *
 * Whether members go through symlinks of that tree turns out when all of them are known (`settle.ts`). The layer is then
 * unpacked once more, so the tar is kept until it is settled.
 *
 *   staging/tree/       the settled tree
 *   staging/displaced/  contents that later members replaced
 *   staging/archive     the tar
 *
 * @module
 */
import { fromText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import type { IdMappings } from "../core/id_map.ts";
import { type LayerPath, parseLayerPath } from "../core/layer_path.ts";
import { DEFAULT_LIMITS, type Limits, REPLAYS_MAX } from "../core/limits.ts";
import { lendChunks } from "../host/read_chunks.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import { limitBytes } from "../stream/limit.ts";
import { pipe } from "../stream/pipe.ts";
import { TarReader } from "../tar/reader.ts";
import type { Changeset, Ownership, Redirects } from "./change.ts";
import { settle } from "./settle.ts";
import type { TreeView } from "./tree_view.ts";
import { Unpacker } from "./unpack.ts";

/** A tar, and where it is unpacked. */
export interface UnpackArchiveRequest {
  /** Uncompressed. */
  readonly archive: ReadableStream<Uint8Array>;
  /** An empty directory. */
  readonly staging: RootedDir;
  /** The tree that the layer comes to lie on; absent: nothing. */
  readonly below: TreeView | undefined;
  readonly ownership: Ownership;
  /** Under which ids the tree is kept. Absent: under those of the archive. */
  readonly idMappings?: IdMappings | undefined;
  readonly limits?: Limits;
  readonly signal?: AbortSignal | undefined;
}

const ARCHIVE = parseLayerPath(fromText("archive"));
const TREE = parseLayerPath(fromText("tree"));
const DISPLACED = parseLayerPath(fromText("displaced"));
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** Opens the tree that {@link unpackArchive} has left in a staging directory. */
export function openUnpacked(staging: RootedDir): RootedDir {
  return staging.openDir(TREE);
}

/**
 * Unpacks a tar. The tree below is not changed.
 * @throws {StrataError} `INVALID_ARCHIVE` or `LIMIT_EXCEEDED` for a bad tar, `ABORTED`, what the system reports
 */
export async function unpackArchive(request: UnpackArchiveRequest): Promise<Changeset> {
  const { staging, below, ownership, idMappings } = request;
  await keepArchive(request);
  let redirects: Redirects = new Map();
  for (let replays = 0; replays <= REPLAYS_MAX; replays++) {
    const changeset = unpackKept(request, redirects);
    using tree = openUnpacked(staging);
    const outcome = settle({ changeset, tree, below, ownership, idMappings, redirects });
    if (outcome.kind === "settled") return outcome.changeset;
    redirects = outcome.redirects;
  }
  throw new StrataError(
    "INVALID_ARCHIVE",
    "Cannot place the layer: its paths lead through ever more symlinks of the layers below; have the layer rebuilt",
    { stage: "commit" },
  );
}

async function keepArchive(
  { archive, staging, limits = DEFAULT_LIMITS, signal }: UnpackArchiveRequest,
): Promise<void> {
  using file = staging.create(ARCHIVE, FILE_MODE);
  const bound = limitBytes({ limit: "unpackedBytesMax", max: limits.unpackedBytesMax });
  await pipe(archive, (chunk) => file.write(chunk), { through: [bound], ...(signal === undefined ? {} : { signal }) });
}

function unpackKept(
  { staging, ownership, idMappings, limits = DEFAULT_LIMITS }: UnpackArchiveRequest,
  redirects: Redirects,
): Changeset {
  using tree = emptyDir(staging, TREE);
  using displaced = emptyDir(staging, DISPLACED);
  using unpacker = new Unpacker({ tree, displaced, ownership, idMappings, redirects, limits });
  const reader = new TarReader({
    segment() {},
    entry: (entry) => unpacker.entry(entry),
    data: (bytes) => unpacker.data(bytes),
    endEntry: () => unpacker.endEntry(),
    end() {},
  }, limits);
  for (const chunk of lendChunks(staging.openRead(ARCHIVE))) reader.push(chunk);
  reader.end();
  return unpacker.finish();
}

function emptyDir(staging: RootedDir, path: LayerPath): RootedDir {
  staging.removeTree(path);
  staging.mkdir(path, DIRECTORY_MODE);
  return staging.openDir(path);
}
