// SPDX-License-Identifier: Apache-2.0
/**
 * Unpacks layers one on another in tests, as a store does, and in two forms at once: merged into one plain directory,
 * and as a stack of layer directories in overlayfs's dialect. Both must show the same tree.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Changeset, Ownership, Redirects } from "../../src/changeset/change.ts";
import { type LayerDir, MappedDir } from "../../src/changeset/mapped_dir.ts";
import { mergeChangeset } from "../../src/changeset/merge.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { settle } from "../../src/changeset/settle.ts";
import { StackedView, type WhiteoutDialect } from "../../src/changeset/stacked_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { Unpacker } from "../../src/changeset/unpack.ts";
import { type ByteString, display, fromText } from "../../src/core/bytes.ts";
import { inodeKey } from "../../src/core/file_stat.ts";
import { containerShift, IDENTITY, type IdMappings, isIdentity } from "../../src/core/id_map.ts";
import { joinPath, type LayerPath, parentOf, parseLayerPath, ROOT } from "../../src/core/layer_path.ts";
import { REPLAYS_MAX } from "../../src/core/limits.ts";
import { copyTree } from "../../src/host/copy_tree.ts";
import { removeTreeAt } from "../../src/host/files.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import type { TarEntry, TarEntryType } from "../../src/tar/entry.ts";
import { TarReader } from "../../src/tar/reader.ts";

/** A member with its content. */
export interface Member {
  readonly entry: TarEntry;
  readonly content: Uint8Array;
}

/** What a test may want otherwise. */
export type MemberOptions = Partial<Omit<TarEntry, "name" | "type" | "xattrs">> & {
  readonly xattrs?: Readonly<Record<string, string>>;
};

/** How many times a layer was unpacked, and what came of it. */
export interface Applied {
  readonly changeset: Changeset;
  readonly settled: Changeset;
  readonly replays: number;
}

const MTIME = { sec: 1_600_000_000, nsec: 123_456_789 };
const OPAQUE = fromText("trusted.overlay.opaque");

/** A directory member. */
export function dir(name: string, options: MemberOptions = {}): Member {
  return member("dir", name, { mode: 0o755, ...options });
}

/** A regular file member. */
export function file(name: string, content = "", options: MemberOptions = {}): Member {
  const bytes = new TextEncoder().encode(content);
  const { entry } = member("file", name, { size: bytes.length, storedSize: bytes.length, ...options });
  return { entry, content: bytes };
}

/** A symlink member. */
export function symlink(name: string, target: string, options: MemberOptions = {}): Member {
  return member("symlink", name, { linkName: fromText(target), mode: 0o777, ...options });
}

/** A hard-link member. */
export function hardlink(name: string, target: string, options: MemberOptions = {}): Member {
  return member("hardlink", name, { linkName: fromText(target), ...options });
}

/** A member of any type. */
export function member(type: TarEntryType, name: string, options: MemberOptions = {}): Member {
  const { xattrs = {}, ...rest } = options;
  const entry: TarEntry = {
    name: fromText(name),
    type,
    typeFlag: 0x30,
    linkName: fromText(""),
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: fromText(""),
    gname: fromText(""),
    size: 0,
    storedSize: 0,
    headerSize: 0,
    mtime: MTIME,
    atime: undefined,
    ctime: undefined,
    devMajor: 0,
    devMinor: 0,
    pax: new Map(),
    sparse: undefined,
    format: "pax",
    offset: 0,
    ...rest,
    xattrs: new Map(Object.entries(xattrs).map(([key, value]) => [fromText(key), new TextEncoder().encode(value)])),
  };
  return { entry, content: new Uint8Array(0) };
}

/** Gives members to an unpacker. */
export function unpackAll(unpacker: Unpacker, members: readonly Member[]): Changeset {
  for (const { entry, content } of members) {
    unpacker.entry(entry);
    if (content.length > 0) unpacker.data(content);
    unpacker.endEntry();
  }
  return unpacker.finish();
}

/** Gives an archive to an unpacker, through the reader. */
export function unpackArchive(unpacker: Unpacker, archive: Uint8Array): Changeset {
  const reader = new TarReader({
    segment() {},
    entry: (entry: TarEntry) => unpacker.entry(entry),
    data: (bytes: Uint8Array) => unpacker.data(bytes),
    endEntry: () => unpacker.endEntry(),
    end() {},
  });
  reader.push(archive);
  reader.end();
  return unpacker.finish();
}

/** An archive's members. */
export function membersOf(archive: Uint8Array): Member[] {
  const members: { entry: TarEntry; content: Uint8Array }[] = [];
  const reader = new TarReader({
    segment() {},
    entry: (entry) => void members.push({ entry, content: new Uint8Array(0) }),
    data(bytes) {
      const last = members[members.length - 1]!;
      last.content = Uint8Array.from([...last.content, ...bytes]);
    },
    endEntry() {},
    end() {},
  });
  reader.push(archive);
  reader.end();
  return members;
}

/** The path, for tests. */
export function at(path: string): LayerPath {
  return parseLayerPath(fromText(path));
}

/** A scratch directory with a chain of layers in it. */
export class Layering implements Disposable {
  /** The scratch directory. */
  readonly dir = mkdtempSync(join(tmpdir(), "strata-layering-"));
  readonly #ownership: Ownership;
  readonly #idMappings: IdMappings;
  #merged: string | undefined;
  /** Layer directories, top first. */
  #stack: string[] = [];
  #next = 0;

  constructor(ownership: Ownership = "archive", idMappings: IdMappings = IDENTITY) {
    this.#ownership = ownership;
    this.#idMappings = idMappings;
  }

  [Symbol.dispose](): void {
    removeTreeAt(this.dir);
  }

  /** Adds a layer on top, and checks that both forms show the same tree. */
  apply(...members: readonly Member[]): Applied {
    return this.applyWith((unpacker) => unpackAll(unpacker, members));
  }

  /** As {@link Layering.apply}, for a layer that a function feeds. */
  applyWith(feed: (unpacker: Unpacker) => Changeset): Applied {
    const staged = this.#stage(feed);
    this.#addToStack(staged.tree, staged.settled);
    this.#merge(staged.tree, staged.settled);
    if (this.#stack.length > 0) assert.deepEqual(this.stacked(), this.tree(), "stacked and merged trees differ");
    return staged;
  }

  /** Unpacks a layer that a function feeds, and settles it, without adding it. */
  stage(feed: (unpacker: Unpacker) => Changeset): Applied & { readonly tree: string; readonly displaced: string } {
    return this.#stage(feed);
  }

  /** The merged directory. */
  get root(): string {
    return this.#merged ?? this.#fresh("merged");
  }

  /** The merged tree, a line an object. */
  tree(): string[] {
    using view = new PlainView(this.#shown(this.root));
    return describe(view);
  }

  /** The stacked tree. */
  stacked(): string[] {
    using view = new StackedView(this.#stack.map((layer) => this.#shown(layer)), DIALECT);
    return describe(view);
  }

  /** Names of the merged tree with types, contents and targets only. */
  names(): string[] {
    return this.tree().map((line) => line.split("|")[0]!.trim()).filter((line) => line !== ". dir");
  }

  #stage(feed: (unpacker: Unpacker) => Changeset): Applied & { tree: string; displaced: string } {
    let redirects: Redirects = new Map();
    for (let replays = 0; replays <= REPLAYS_MAX; replays++) {
      const tree = this.#fresh("tree");
      const displaced = this.#fresh("displaced");
      using treeRoot = RootedDir.open(tree);
      using displacedRoot = RootedDir.open(displaced);
      using unpacker = new Unpacker({
        tree: treeRoot,
        displaced: displacedRoot,
        ownership: this.#ownership,
        idMappings: this.#idMappings,
        redirects,
      });
      const changeset = feed(unpacker);
      using below = this.#merged === undefined ? undefined : new PlainView(this.#shown(this.#merged));
      const kept = { ownership: this.#ownership, idMappings: this.#idMappings };
      const outcome = settle({ changeset, tree: treeRoot, below, ...kept, redirects });
      if (outcome.kind === "settled") return { changeset, settled: outcome.changeset, replays, tree, displaced };
      redirects = outcome.redirects;
    }
    throw new Error("Cannot settle: the layer asks for more and more redirects");
  }

  /** A tree under its archives' ids. */
  #shown(path: string): LayerDir {
    const dir = RootedDir.open(path);
    if (isIdentity(this.#idMappings)) return dir;
    return new MappedDir(dir, { shift: containerShift(this.#idMappings), isMark: DIALECT.isWhiteout });
  }

  #merge(tree: string, changeset: Changeset): void {
    this.#merged ??= this.#fresh("merged");
    using from = RootedDir.open(tree);
    using into = RootedDir.open(this.#merged);
    mergeChangeset({ changeset, tree: from, into });
  }

  #addToStack(tree: string, changeset: Changeset): void {
    if (this.#ownership !== "archive") return;
    const layer = this.#fresh("layer");
    using from = RootedDir.open(tree);
    using to = RootedDir.open(layer);
    copyTree(from, to);
    const times = new Map(
      [...changeset.whiteouts, ...changeset.opaques].map((path) => parentOf(path))
        .concat(changeset.opaques).map((path) => [path, to.stat(path)!]),
    );
    for (const path of changeset.whiteouts) to.mknod(path, { type: "char", mode: 0 });
    for (const path of changeset.opaques) to.setXattr(path, OPAQUE, new Uint8Array([0x79]));
    for (const [path, stat] of times) to.setTimes(path, stat);
    // The kernel never asks whether the root is opaque; a driver starts a new stack instead.
    this.#stack = changeset.opaques.includes(ROOT) ? [layer] : [layer, ...this.#stack];
    if (changeset.opaques.includes(ROOT)) to.removeXattr(ROOT, OPAQUE);
  }

  #fresh(what: string): string {
    const path = join(this.dir, `${what}-${this.#next++}`);
    mkdirSync(path);
    return path;
  }
}

const DIALECT: WhiteoutDialect = {
  isWhiteout: (stat) => stat.type === "char" && stat.rdevMajor === 0 && stat.rdevMinor === 0,
  isOpaque: (layer, path) => layer.xattrs(path).has(OPAQUE),
  isPrivateXattr: (name) => name.startsWith("trusted.overlay."),
};

/** Everything that a tree has, a line an object. Objects with several names are numbered. */
export function describe(view: TreeView): string[] {
  const lines: string[] = [];
  const inodes = new Map<string, string>();
  const pending: LayerPath[] = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = view.stat(path);
    assert.ok(stat, `"${display(path)}" is listed and not there`);
    let what = "";
    if (stat.type === "file") what = ` "${contentOf(view, path)}"`;
    if (stat.type === "symlink") what = ` -> ${display(view.readlink(path))}`;
    if (stat.type === "char" || stat.type === "block") what = ` ${stat.rdevMajor}:${stat.rdevMinor}`;
    const first = inodes.get(inodeKey(stat)) ?? path;
    inodes.set(inodeKey(stat), first);
    const same = first === path ? "" : ` = ${display(first as ByteString)}`;
    const meta = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.mtime.sec}.${stat.mtime.nsec}`;
    const xattrs = Array.from(view.xattrs(path), ([key, value]) => `${key}=${new TextDecoder().decode(value)}`);
    lines.push(`${display(path) || "."} ${stat.type}${what}${same} | ${meta} ${xattrs.join(",")}`.trimEnd());
    if (stat.type === "dir") {
      for (const { name } of [...view.list(path)].reverse()) pending.push(joinPath(path, name));
    }
  }
  return lines;
}

function contentOf(view: TreeView, path: LayerPath): string {
  using opened = view.openRead(path);
  const bytes = new Uint8Array(opened.stat().size);
  let length = 0;
  for (let got = opened.read(bytes); got > 0; got = opened.read(bytes.subarray(length))) length += got;
  return new TextDecoder().decode(bytes.subarray(0, length));
}
