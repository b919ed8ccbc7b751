// SPDX-License-Identifier: Apache-2.0
/**
 * A layer out of what somebody else put into a staging directory: contents in a tree, and the tar-split that tells of which
 * archive they are the contents.
 *
 *   given/tree ──────────────┐
 *   given/record/tar-split ──┴▶ archive, each content checked ─▶ pipeline: DiffID ⇣ tar-split ⇣ tree, contents adopted
 *
 * The archive is rebuilt from what is there and taken in like any other. So nothing is believed: names, owners, whiteouts and
 * limits are those of the archive, what it does not name is left behind, and the DiffID is that of the bytes. But contents
 * are not written again; their files get names in the new tree (`changeset/staged_file.ts`).
 *
 * @module
 */
import type { Changeset, Ownership } from "../../changeset/change.ts";
import { compareTrees } from "../../changeset/compare.ts";
import { DropReport } from "../../changeset/drop_report.ts";
import { MappedDir } from "../../changeset/mapped_dir.ts";
import { openOwnedTree } from "../../changeset/override_dir.ts";
import { packChanges } from "../../changeset/pack.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import { display } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { containerShift, IDENTITY, type IdMappings } from "../../core/id_map.ts";
import { type LayerPath, parseLayerPath, ROOT } from "../../core/layer_path.ts";
import { DROPPED_LISTED_MAX, type Limits } from "../../core/limits.ts";
import { isOsError } from "../../host/errno.ts";
import type { OpenFile } from "../../host/open_file.ts";
import { readChunks } from "../../host/read_chunks.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { assemble, type ContentSource } from "../../tarsplit/assemble.ts";
import type { FileRecord } from "../../tarsplit/record.ts";
import type { AbortFlag } from "../abort_flag.ts";
import type { Report } from "../job_map.ts";
import { LayerPipeline, type UnpackedLayer } from "../layer_pipeline.ts";
import { SplitRecorder } from "../split_recorder.ts";
import { StagedLayer } from "../staged_layer.ts";
import { anyTarSplitBatches } from "../tar_split_file.ts";

/** What was put into a staging directory. */
export interface AdoptDiffRequest {
  /** A staged layer's directory with a tree and, unless it is to be packed, a tar-split, compressed or not. It is used up. */
  readonly given: string;
  /** Whether there is a tar-split; otherwise the archive is the one that the tree packs to, its root left out. */
  readonly archive: "given" | "packed";
  /** Paths that the layers below lose; for an archive that is packed. */
  readonly whiteouts: readonly LayerPath[];
  /** The layer's own directory below a staging directory; made here. */
  readonly dir: string;
  /** Where it is to lie in the end: the directory of the driver's layers. */
  readonly destination: string;
  readonly ownership: Ownership;
  /** Under which ids its owners are kept. Absent: under their own. */
  readonly idMappings?: IdMappings | undefined;
  readonly limits: Limits;
}

/**
 * Makes the layer.
 * @throws {StrataError} `CORRUPT` when the contents are not those of the tar-split, `INVALID_ARCHIVE` or `LIMIT_EXCEEDED` as
 *   unpacking does, `ABORTED`
 */
export async function adoptDiff(
  request: AdoptDiffRequest,
  _report: Report,
  abort: AbortFlag,
): Promise<UnpackedLayer> {
  const given = new StagedLayer(request.given);
  const skipped = request.archive === "packed" ? packGiven(given, request, abort) : undefined;
  const layer = await takeOver(given, request, abort);
  // Files with a second name would be hard links.
  given.remove();
  return skipped === undefined ? layer : { ...layer, changeset: withSkipped(layer.changeset, skipped) };
}

async function takeOver(given: StagedLayer, request: AdoptDiffRequest, abort: AbortFlag): Promise<UnpackedLayer> {
  const { unpackedBytesMax } = request.limits;
  using tree = openOwnedTree(given.treeDir, request.ownership);
  using pipeline = new LayerPipeline(StagedLayer.create(request.dir, request.destination), request);
  const contents = new GivenContents(tree, (file) => pipeline.adopt(file));
  let archiveBytes = 0;
  for await (const batch of anyTarSplitBatches(given.tarSplitPath)) {
    for (const chunk of assemble(batch, contents)) {
      abort.check();
      archiveBytes += chunk.byteLength;
      if (archiveBytes > unpackedBytesMax) refuseSize(unpackedBytesMax);
      pipeline.push(chunk);
    }
  }
  return await pipeline.finish();
}

/** Contents by the names that the tar-split has for them; whoever unpacks is told which file one comes from. */
class GivenContents implements ContentSource {
  readonly #tree: RootedDir;
  readonly #onOpen: (file: OpenFile) => void;

  constructor(tree: RootedDir, onOpen: (file: OpenFile) => void) {
    this.#tree = tree;
    this.#onOpen = onOpen;
  }

  open(record: FileRecord): Iterable<Uint8Array> {
    const file = this.#find(record);
    this.#onOpen(file);
    return readChunks(file);
  }

  #find({ name }: FileRecord): OpenFile {
    try {
      return this.#tree.openRead(parseLayerPath(name));
    } catch (error) {
      if (!isOsError(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO")) throw error;
      const path = display(name);
      const message =
        `Cannot rebuild the layer's archive: the staged tree has no file "${path}", which the tar-split ` +
        "refers to; stage the layer again";
      throw new StrataError("CORRUPT", message, { path }, { cause: error });
    }
  }
}

/** Gives the tree a tar-split of its own: members in bytewise order, whiteouts among them. */
function packGiven(given: StagedLayer, request: AdoptDiffRequest, abort: AbortFlag): DropReport {
  const skipped = new DropReport();
  const { ownership, idMappings = IDENTITY, whiteouts } = request;
  const shift = containerShift(idMappings);
  using now = new PlainView(new MappedDir(openOwnedTree(given.treeDir, ownership), { shift }));
  using archive = new SplitRecorder(given.tarSplitPath);
  const changes = [
    ...whiteouts.map((path) => ({ path, kind: "delete" }) as const),
    ...compareTrees({ now, before: undefined }).filter(({ path }) => path !== ROOT),
  ];
  for (const chunk of packChanges({ changes, now, onSkip: (item) => skipped.add(item) })) {
    abort.check();
    archive.push(chunk);
  }
  archive.end();
  return skipped;
}

/** What a tar could not hold, before what the tree could not. */
function withSkipped(changeset: Changeset, skipped: DropReport): Changeset {
  return {
    ...changeset,
    dropped: [...skipped.listed, ...changeset.dropped].slice(0, DROPPED_LISTED_MAX),
    droppedCount: skipped.count + changeset.droppedCount,
  };
}

function refuseSize(max: number): never {
  throw new StrataError(
    "LIMIT_EXCEEDED",
    `Cannot take over the staged diff: its archive passes unpackedBytesMax (${max} bytes); raise that limit if it is trusted`,
    { limit: "unpackedBytesMax", max },
  );
}
