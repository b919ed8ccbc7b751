// SPDX-License-Identifier: Apache-2.0
/**
 * Every bound of the system, with its unit and its reason (I9).
 *
 * @module
 */

/** Bounds on what one layer may ask of this machine. Each can be set per call; {@link DEFAULT_LIMITS} are the defaults. */
export interface Limits {
  /** Members of one archive. Bounds inodes, and the memory of hard-link tracking. */
  readonly entriesMax: number;
  /** Uncompressed bytes of one layer, holes of sparse files included. Bounds the disk that a bomb can fill. */
  readonly unpackedBytesMax: number;
  /** Uncompressed over compressed bytes, looked at once 64 MiB are out. Layers of zeros are legal, so it is generous. */
  readonly ratioMax: number;
  /** Bytes after the end-of-archive marker. They are kept, so they must be bounded (CVE-2017-14992). */
  readonly trailingBytesMax: number;
  /** Bytes of one extension header's body (`x`, `g`, `L`, `K`). Go's archive/tar draws the same line. */
  readonly extensionBytesMax: number;
  /** Extension headers in a row before an entry must come. Without it metadata is unbounded although each is small. */
  readonly extensionsInRowMax: number;
  /** Pieces of one sparse file, and so the memory of its map. */
  readonly sparseExtentsMax: number;
  /** Bytes of a path: Linux's PATH_MAX. */
  readonly pathBytesMax: number;
  /** Bytes of one path component: NAME_MAX of every common file system. */
  readonly componentBytesMax: number;
  /** Components of a path. Deeper trees cannot be walked by path strings any more. */
  readonly depthMax: number;
  /** Extended attributes of one entry. */
  readonly xattrsMax: number;
  /** Bytes of one extended attribute's value: the kernel's XATTR_SIZE_MAX. */
  readonly xattrBytesMax: number;
  /** Log2 of the zstd window: 27 (128 MiB) is what `zstd` itself accepts without a flag. */
  readonly zstdWindowLogMax: number;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** What applies unless a caller says otherwise. */
export const DEFAULT_LIMITS: Limits = {
  entriesMax: 5_000_000,
  unpackedBytesMax: 64 * GIB,
  ratioMax: 5000,
  trailingBytesMax: GIB,
  extensionBytesMax: MIB,
  extensionsInRowMax: 8,
  sparseExtentsMax: 1 << 20,
  pathBytesMax: 4096,
  componentBytesMax: 255,
  depthMax: 1024,
  xattrsMax: 256,
  xattrBytesMax: 64 * 1024,
  zstdWindowLogMax: 27,
};

/** Layers in one chain. 127 in Docker's old drivers less the two that a writable layer adds. */
export const CHAIN_DEPTH_MAX = 125;
/** Symlinks followed for one path, beyond which it is a loop. Go's and containerd's number; the kernel stops at 40. */
export const SYMLINKS_MAX = 255;
/** Characters of a data item's key. Keys lie in the record, which is read as a whole. */
export const BIG_DATA_KEY_CHARS_MAX = 4096;
/** Bytes of a JSON document read from disk or out of an archive: what registries accept. */
export const JSON_BYTES_MAX = 4 * MIB;
/** Characters of a directory's manifest: some hundred an entry, and a JSON text is parsed whole. */
export const MANIFEST_CHARS_MAX = 256 * MIB;
/**
 * Files of one size, of all layers together, whose digests are looked at to find a content that is needed; those that have its
 * name as well are not counted. Bounds what is remembered and read where many files have one size.
 */
export const REUSE_CANDIDATES_MAX = 64;
/** Bytes of a `layers.json` of containers/storage, which holds all layers: 40 times that of 43,000 layers in the field. */
export const LAYERS_JSON_BYTES_MAX = GIB / 2;
/** Bytes of a chunk that flows between stages. Smaller ones cost more in every stage, larger ones only memory. */
export const CHUNK_BYTES = MIB;
/** Bytes of one tar-split segment. The reference writes trailing bytes in pieces of this size, too. */
export const SEGMENT_BYTES_MAX = MIB;
/** Bytes of headers in one tar-split segment. Extension headers at their limits fit; what is longer trails the archive. */
export const SPLIT_HEADER_BYTES_MAX = 16 * MIB;
/** Bytes of one JSON record of a tar-split file: the longest that the reference writes, a sparse map of a million pieces, fits. */
export const SPLIT_RECORD_BYTES_MAX = 64 * MIB;
/**
 * Dropped attributes that unpacking lists one by one, and that a layer's record keeps; the rest is counted. A person reads
 * the list.
 */
export const DROPPED_LISTED_MAX = 100;
/** Characters of a name in that list, so that the record stays far below {@link JSON_BYTES_MAX}. */
export const DROPPED_TEXT_MAX = 1024;
/**
 * Owner ids of one kind that a layer's record lists. Images have a few dozen; so many take less than 1 MiB of the record,
 * far below {@link JSON_BYTES_MAX}. A layer with more has no list.
 */
export const OWNER_IDS_MAX = 65_536;
/** Skippable frames of a zstd stream that are hashed in search of a table of contents, which is among the first three. */
export const SKIPPABLE_FRAMES_MAX = 64;
/**
 * Bytes of an eStargz layer's table of contents as it lies in the blob, and so of the blob's end that is kept while it
 * passes. Some 100,000 files fit; the table of a larger layer is not recognised.
 */
export const STARGZ_TOC_BLOB_BYTES_MAX = 8 * MIB;
/** Bytes of that table decompressed: a bomb's end. */
export const STARGZ_TOC_BYTES_MAX = 128 * MIB;
/**
 * Times that one layer is unpacked again because a parent turned out to be a symlink below. One is the rule; each further
 * one takes an archive whose own symlinks lead to new places below.
 */
export const REPLAYS_MAX = 8;
