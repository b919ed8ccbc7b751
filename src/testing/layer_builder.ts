// SPDX-License-Identifier: Apache-2.0
/**
 * Layers for tests: described by their members, packed, unpacked, and given to a driver the way the store does it.
 *
 * @module
 */
import { openOwnedTree } from "../changeset/override_dir.ts";
import { type ByteString, fromText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { type CacheId, randomCacheId, randomId } from "../core/ids.ts";
import { REPLAYS_MAX } from "../core/limits.ts";
import { ensureDir, removeTreeAt } from "../host/files.ts";
import { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset, Redirects } from "../changeset/change.ts";
import { settle } from "../changeset/settle.ts";
import { Unpacker, type UnpackOptions } from "../changeset/unpack.ts";
import type { Driver } from "../driver/driver.ts";
import type { LayerLocation, SealedLayer } from "../driver/interfaces/layer_sealer.ts";
import type { TarEntry, TarHandler, TarMember } from "../tar/entry.ts";
import { TarReader } from "../tar/reader.ts";
import { TarWriter } from "../tar/writer.ts";

/** A member of a layer's archive, with its content. */
export interface LayerMember extends TarMember {
  /** A file's bytes. */
  readonly content?: Uint8Array;
}

/** What a member has beside its name and content; what is absent is filled in. */
export type MemberMetadata = Partial<Pick<TarMember, "mode" | "uid" | "gid" | "mtime" | "xattrs">>;

/** The time of members that state none. */
const MTIME = { sec: 1_600_000_000, nsec: 0 };

/** A regular file. */
export function file(name: string, content: string | Uint8Array = "", metadata: MemberMetadata = {}): LayerMember {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return { ...member(name, { mode: 0o644, ...metadata }), type: "file", content: bytes, size: bytes.byteLength };
}

/** A directory. */
export function dir(name: string, metadata: MemberMetadata = {}): LayerMember {
  return { ...member(name, { mode: 0o755, ...metadata }), type: "dir" };
}

/** A symlink. */
export function symlink(name: string, target: string, metadata: MemberMetadata = {}): LayerMember {
  return { ...member(name, { mode: 0o777, ...metadata }), type: "symlink", linkName: fromText(target) };
}

/** A further name of a member before it, or of a file of the layers below. */
export function hardlink(name: string, target: string): LayerMember {
  return { ...member(name, { mode: 0o644 }), type: "hardlink", linkName: fromText(target) };
}

/** A named pipe. */
export function fifo(name: string, metadata: MemberMetadata = {}): LayerMember {
  return { ...member(name, { mode: 0o644, ...metadata }), type: "fifo" };
}

/** A device node. */
export function device(
  name: string,
  node: Pick<TarMember, "devMajor" | "devMinor"> & { type: "char" | "block" },
): LayerMember {
  return { ...member(name, { mode: 0o600 }), ...node };
}

/** The removal of what the layers below have at a path. */
export function whiteout(path: string): LayerMember {
  const slash = path.lastIndexOf("/") + 1;
  return file(`${path.slice(0, slash)}.wh.${path.slice(slash)}`);
}

/** The removal of all that the layers below have in a directory; of everything for the empty path. */
export function opaque(path: string): LayerMember {
  return file(path === "" ? ".wh..wh..opq" : `${path}/.wh..wh..opq`);
}

/** A member under another name: for names that are no text. */
export function renamed(member: LayerMember, name: ByteString): LayerMember {
  return { ...member, name };
}

/** The members' archive. */
export function layerTar(members: readonly LayerMember[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((bytes) => chunks.push(bytes.slice()));
  for (const { content, ...member } of members) {
    writer.entry(member);
    if (content !== undefined) writer.data(content);
  }
  writer.end();
  return concat(chunks);
}

/** A layer to be added to a driver. */
export interface NewLayer {
  /** The layer's uncompressed archive, or its members. */
  readonly archive: Uint8Array | readonly LayerMember[];
  /** The stack that it comes to lie on, top first. */
  readonly below?: readonly LayerLocation[];
  /** A directory on the file system of the driver's home, for staging. */
  readonly work: string;
  /** The layer's name inside the driver; a fresh one by default. */
  readonly cacheId?: CacheId;
  /** Layers that lie upon it already, since it is made again. */
  readonly children?: readonly CacheId[];
}

/** A layer in the driver's form, not yet published. */
export interface StagedLayer {
  /** The layer in its driver's form. */
  readonly sealed: SealedLayer;
  /** To be removed once the layer is published or given up. */
  readonly staging: string;
}

/**
 * Unpacks, settles, seals and publishes a layer; returns the stack with it on top. Nothing is left behind in `work`.
 * @throws {StrataError} `INVALID_ARCHIVE` for what must not be unpacked
 */
export async function addLayer(driver: Driver, layer: NewLayer): Promise<readonly LayerLocation[]> {
  const { sealed, staging } = await stageLayer(driver, layer);
  await driver.publish(sealed);
  driver.syncHome();
  removeTreeAt(staging);
  return [driver.locate(sealed.cacheId), ...(layer.below ?? [])];
}

/**
 * Unpacks, settles and seals a layer. The layers below may themselves be staged only.
 * @throws {StrataError} `INVALID_ARCHIVE` for what must not be unpacked; nothing is left behind then
 */
export async function stageLayer(driver: Driver, layer: NewLayer): Promise<StagedLayer> {
  const { archive, below: parents = [], work, cacheId = randomCacheId(), children = [] } = layer;
  const staging = `${work}/staging-${randomId()}`;
  const bytes = archive instanceof Uint8Array ? archive : layerTar(archive);
  try {
    const changeset = await unpackSettled(driver, { bytes, staging, parents });
    return { staging, sealed: await driver.seal({ staging, cacheId, changeset, parents, children }) };
  } catch (error) {
    removeTreeAt(staging);
    throw error;
  }
}

interface StagedArchive {
  readonly bytes: Uint8Array;
  readonly staging: string;
  readonly parents: readonly LayerLocation[];
}

async function unpackSettled(driver: Driver, staged: StagedArchive): Promise<Changeset> {
  const { parents, staging } = staged;
  const { ownership } = driver.capabilities;
  const { idMappings } = driver.spec;
  await using below = parents.length === 0 ? undefined : await driver.view(parents);
  let redirects: Redirects = new Map();
  for (let replays = 0; replays <= REPLAYS_MAX; replays++) {
    const changeset = unpack(staged, { ownership, idMappings, redirects });
    using tree = openOwnedTree(`${staging}/tree`, ownership);
    const outcome = settle({ changeset, tree, below, ownership, idMappings, redirects });
    if (outcome.kind === "settled") return outcome.changeset;
    redirects = outcome.redirects;
  }
  throw new StrataError("INVALID_ARCHIVE", "Cannot settle the layer: it was replayed too often", { stage: "commit" });
}

function unpack(
  { bytes, staging }: StagedArchive,
  options: Pick<UnpackOptions, "ownership" | "idMappings" | "redirects">,
): Changeset {
  removeTreeAt(staging);
  for (const part of ["tree", "displaced"]) ensureDir(`${staging}/${part}`, 0o700);
  using tree = openOwnedTree(`${staging}/tree`, options.ownership);
  using displaced = RootedDir.open(`${staging}/displaced`);
  using unpacker = new Unpacker({ tree, displaced, ...options });
  const reader = new TarReader(handlerOf(unpacker));
  reader.push(bytes);
  reader.end();
  return unpacker.finish();
}

function handlerOf(unpacker: Unpacker): TarHandler {
  return {
    segment() {},
    entry: (entry: TarEntry) => unpacker.entry(entry),
    data: (bytes) => unpacker.data(bytes),
    endEntry: () => unpacker.endEntry(),
    end() {},
  };
}

function member(name: string, metadata: MemberMetadata & { mode: number }): Omit<TarMember, "type"> {
  return { name: fromText(name), uid: 0, gid: 0, mtime: MTIME, ...metadata };
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
