// SPDX-License-Identifier: Apache-2.0
/**
 * One layer on its way from bytes to a tree: digest, tar reader, tar-split and unpacking, all in one pass.
 *
 *   chunk → DiffID → tar reader → splitter ⇣ record/tar-split.json.gz
 *                               → unpacker ⇣ tree/, displaced/
 *
 * Every byte is seen once, by one parser (spec: a digest, an index and a tree that see different entries are how
 * archives lie). What the tree turns out not to hold is moved into the tar-split afterwards (I6).
 *
 * @module
 */
import { openOwnedTree } from "../changeset/override_dir.ts";
import { type DiffId, type Digest, DigestWriter, parseDiffId } from "../core/digest.ts";
import type { IdMappings } from "../core/id_map.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import { gzipMember } from "../compression/gzip.ts";
import type { OpenFile } from "../host/open_file.ts";
import { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset, Ownership, Redirects } from "../changeset/change.ts";
import { Unpacker } from "../changeset/unpack.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";
import { OwnerIds, type OwnerSets } from "../tar/owner_ids.ts";
import { TarReader } from "../tar/reader.ts";
import { SplitWriter } from "../tarsplit/file.ts";
import { Splitter } from "../tarsplit/split.ts";
import { inlineLost } from "./inline_lost.ts";
import type { StagedLayer } from "./staged_layer.ts";
import { StargzIndex } from "./stargz_index.ts";

/** How a layer is taken in. */
export interface PipelineOptions {
  readonly ownership: Ownership;
  /** Under which ids its owners are kept. Absent: under their own. */
  readonly idMappings?: IdMappings | undefined;
  readonly limits?: Limits;
  /** Where this layer's members go by way of symlinks below; known only when a layer is replayed. */
  readonly redirects?: Redirects;
}

/** A layer that was read to its end: its identity, and what its tree does not say. */
export interface UnpackedLayer {
  readonly diffId: DiffId;
  /** Bytes of the uncompressed archive. */
  readonly archiveBytes: number;
  readonly changeset: Changeset;
  /** Who owns its members. */
  readonly owners: OwnerSets;
  /** Digest of the table of contents that is its last member, as in an eStargz layer. */
  readonly indexDigest: Digest | undefined;
}

/** Level of the tar-split's compression: headers are so repetitive that more effort gains next to nothing. */
const SPLIT_LEVEL = 1;

/** Takes one layer's uncompressed bytes. */
export class LayerPipeline implements Disposable {
  readonly #staged: StagedLayer;
  readonly #digest = new DigestWriter();
  readonly #reader: TarReader;
  readonly #members: Members;
  readonly #splitFile: OpenFile;
  readonly #splitWriter: SplitWriter;
  readonly #tree: RootedDir;
  readonly #displaced: RootedDir;

  constructor(staged: StagedLayer, options: PipelineOptions) {
    const limits = options.limits ?? DEFAULT_LIMITS;
    this.#staged = staged;
    this.#tree = openOwnedTree(staged.treeDir, options.ownership);
    this.#displaced = RootedDir.open(staged.displacedDir);
    this.#splitFile = staged.createTarSplit();
    this.#splitWriter = new SplitWriter({
      compress: (bytes) => gzipMember(bytes, SPLIT_LEVEL),
      sink: (bytes) => this.#splitFile.write(bytes),
    });
    this.#members = new Members(
      new Splitter((record) => this.#splitWriter.write(record)),
      new Unpacker({ tree: this.#tree, displaced: this.#displaced, ...options, limits }),
    );
    this.#reader = new TarReader(this.#members, limits);
  }

  /** Takes the next bytes; they are not kept. */
  push(chunk: Uint8Array): void {
    this.#digest.update(chunk);
    this.#reader.push(chunk);
  }

  /** The payload that is pushed next is the whole content of this file; see {@link Unpacker.adopt}. */
  adopt(file: OpenFile): void {
    this.#members.unpacker.adopt(file);
  }

  /**
   * Ends the layer.
   * @throws {StrataError} `INVALID_ARCHIVE` when the archive is cut short
   */
  async finish(): Promise<UnpackedLayer> {
    this.#reader.end();
    this.#splitWriter.end();
    this.#splitFile.close();
    const { unpacker, positions, owners, index } = this.#members;
    const changeset = unpacker.finish();
    await inlineLost(this.#staged, changeset.lost, positions);
    return {
      diffId: parseDiffId(this.#digest.finish()),
      archiveBytes: this.#reader.offset,
      changeset,
      owners: owners.sets(),
      indexDigest: index.digest,
    };
  }

  [Symbol.dispose](): void {
    this.#members.unpacker[Symbol.dispose]();
    this.#splitFile.close();
    this.#tree.close();
    this.#displaced.close();
  }
}

/**
 * Gives each member to the splitter and to the unpacker, and keeps which record has which member's content, and what the
 * layer's record says of the archive.
 */
class Members implements TarHandler {
  readonly splitter: Splitter;
  readonly unpacker: Unpacker;
  /** By member: the position of the record whose content the tree must give back. */
  readonly positions: (number | undefined)[] = [];
  readonly owners = new OwnerIds();
  readonly index = new StargzIndex();

  constructor(splitter: Splitter, unpacker: Unpacker) {
    this.splitter = splitter;
    this.unpacker = unpacker;
  }

  segment(bytes: Uint8Array): void {
    this.splitter.segment(bytes);
  }

  entry(entry: TarEntry): void {
    this.unpacker.entry(entry);
    this.splitter.entry(entry);
    this.positions.push(this.splitter.contentPosition);
    this.owners.add(entry);
    this.index.entry(entry);
  }

  data(bytes: Uint8Array): void {
    this.unpacker.data(bytes);
    this.splitter.data(bytes);
    this.index.data(bytes);
  }

  endEntry(): void {
    this.unpacker.endEntry();
    this.splitter.endEntry();
    this.index.endEntry();
  }

  end(): void {
    this.splitter.end();
  }
}
