// SPDX-License-Identifier: Apache-2.0
/**
 * The form of a driver's conformance cases, and what they are made with.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { type ByteString, fromText } from "../../core/bytes.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import { openForWrite } from "../../host/files.ts";
import type { OpenFile } from "../../host/open_file.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { Change } from "../../changeset/change.ts";
import { OVERRIDE_XATTR } from "../../changeset/override_stat.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { type Driver, stackOf as stackIn } from "../../driver/driver.ts";
import type { DriverCapabilities } from "../../driver/interfaces/driver_spec.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { addLayer, type LayerMember } from "../layer_builder.ts";
import { listingOf, shapeOf, type TreeShape } from "../tree_listing.ts";

/** One property that every driver must have. */
export interface DriverCase {
  /** A sentence: what holds. */
  readonly name: string;
  /** Without it the case is for every driver. */
  readonly needs?: (capabilities: DriverCapabilities) => boolean;
  /** It takes seconds, and asks more of the driver than of the file system: once a driver is enough. */
  readonly cost?: "heavy";
  /** Rejects when it does not hold. */
  run(context: DriverContext): Promise<void> | void;
}

/** What a case runs on. */
export interface DriverContext {
  /** A driver with an empty home of its own. */
  readonly driver: Driver;
  /** An empty directory on the home's file system. */
  readonly work: string;
  /** Opens the driver once more on the same home, as another process would. */
  reopen(): Driver;
  /**
   * Starts another process that opens the driver on the same home and calls {@link crashAt}, and kills it with SIGKILL
   * once it has written a line. Absent: cases about crashes make do with an instance that is abandoned.
   */
  readonly crash?: (point: CrashPoint) => Promise<void>;
}

/** How far the process of {@link DriverContext.crash} has come when it is killed. */
export type CrashPoint = "mounted" | "staged" | "published" | "creating" | "copying";

/** Layers from the base up, each a list of members; returns the stack, top first. */
export async function stackOf(
  { driver, work }: DriverContext,
  layers: readonly (readonly LayerMember[])[],
): Promise<readonly LayerLocation[]> {
  let stack: readonly LayerLocation[] = [];
  for (const archive of layers) stack = await addLayer(driver, { archive, below: stack, work });
  return stack;
}

/** The id of a stack's topmost layer. */
export function topId(stack: readonly LayerLocation[]): CacheId {
  const [top] = stack;
  if (top === undefined) throw new Error("The stack is empty");
  return top.cacheId;
}

/** Fails unless the merged tree is as expected: without a mount, and where mounts are possible, mounted in both ways. */
export async function assertMerged(
  context: DriverContext,
  stack: readonly LayerLocation[],
  expected: TreeShape,
): Promise<void> {
  const { driver } = context;
  assert.deepEqual(await inView(context, stack, shapeOf), expected);
  if (driver.capabilities.mounts === "no") return;
  const listing = await inView(context, stack, listingOf);
  await withWritable(context, stack, ({ path }) => {
    assert.deepEqual(listingAt(path), listing, "the writable mount differs from the view");
  });
  const path = await driver.get(topId(stack), { access: "read-only" });
  assert.deepEqual(listingAt(path), listing, "the read-only mount differs from the view");
  await driver.put(topId(stack));
}

/**
 * Calls with the merged tree of a stack, and gives it back: there may be a mount behind a view, and while the view lasts
 * nobody else should unmount the layer.
 */
export async function inView<T>(
  { driver }: DriverContext,
  stack: readonly LayerLocation[],
  use: (view: TreeView) => T,
): Promise<T> {
  await using view = await driver.view(stack);
  return use(view);
}

/** All that can be seen in a directory of this machine. */
export function listingAt(path: string): readonly string[] {
  using tree = new PlainView(MountedDir.open(path));
  return listingOf(tree);
}

/** A mounted tree. fuse-overlayfs 1.10 shows the attribute by which a layer tells what its objects are. */
export class MountedDir extends RootedDir {
  static override open(path: string): MountedDir {
    return new MountedDir(RootedDir.openHandle(path), path);
  }

  override xattrs(path: LayerPath): Map<ByteString, Uint8Array> {
    const attributes = super.xattrs(path);
    attributes.delete(OVERRIDE_XATTR);
    return attributes;
  }
}

/** All that can be seen in a layer, without a mount where the driver can. */
export async function layerListing(driver: Driver, id: CacheId): Promise<readonly string[]> {
  await using view = await driver.view(stackIn(driver, id));
  return listingOf(view);
}

/** A writable layer that is mounted. */
export interface WritableLayer {
  readonly id: CacheId;
  /** Where its tree is. */
  readonly path: string;
}

/** Calls with a fresh writable layer on a stack, and removes it afterwards. */
export async function withWritable(
  { driver }: DriverContext,
  stack: readonly LayerLocation[],
  use: (layer: WritableLayer) => Promise<void> | void,
): Promise<void> {
  const id = randomCacheId();
  await driver.createReadWrite(id, stack[0]?.cacheId);
  try {
    await use({ id, path: await driver.get(id) });
  } finally {
    await driver.put(id);
    await driver.remove(id);
  }
}

/** Writable layers upon each other. */
export interface Snapshots {
  /** What the lowest lies on; nothing by default. */
  readonly on?: readonly LayerLocation[];
  /** What is done in each, the lowest first; it is unmounted before the next is made. */
  readonly steps: readonly ((tree: RootedDir) => void)[];
}

/** Calls with the ids of fresh snapshots, the lowest first, and removes them afterwards. */
export async function withSnapshots(
  { driver }: DriverContext,
  { on = [], steps }: Snapshots,
  use: (ids: readonly CacheId[]) => Promise<void> | void,
): Promise<void> {
  const ids: CacheId[] = [];
  try {
    for (const step of steps) {
      const id = randomCacheId();
      await driver.createReadWrite(id, ids.at(-1) ?? on[0]?.cacheId);
      ids.push(id);
      await nextTick();
      inTree(await driver.get(id), step);
      await driver.put(id);
    }
    await use(ids);
  } finally {
    for (const id of ids.reverse()) await driver.remove(id);
  }
}

/** The clock that stamps files goes in steps of up to 10 ms. What is done after one has a time of its own. */
async function nextTick(): Promise<void> {
  await setTimeout(15);
}

/** Calls with a directory of this machine. */
export function inTree<T>(path: string, use: (tree: RootedDir) => T): T {
  using tree = RootedDir.open(path);
  return use(tree);
}

/** Whether the archive's owners, special modes, devices and privileged attributes can be kept. */
export function keepsOwners({ ownership }: DriverCapabilities): boolean {
  return ownership === "archive" || ownership === "recorded";
}

/** Whether layers appear when they are published. */
export function publishesApart({ publishing }: DriverCapabilities): boolean {
  return publishing !== "in place";
}

/** Changes as `diff` prints them: kind and path, the root as `/`. */
export function changeLines(changes: readonly Change[]): string[] {
  const letters = { add: "A", modify: "C", delete: "D" } as const;
  return changes.map(({ kind, path }) => `${letters[kind]} /${path}`);
}

/** A stream's bytes. */
export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The path of a name that is text. */
export function at(name: string): LayerPath {
  return parseLayerPath(fromText(name));
}

/** Makes or replaces a file in a tree. */
export function put(tree: RootedDir, name: string, content: string): void {
  if (tree.stat(at(name)) !== undefined) tree.unlink(at(name));
  using file = tree.create(at(name), 0o644);
  file.write(new TextEncoder().encode(content));
}

/** A file of a tree, opened to be written in its place, as programs in containers do. */
export function openWritable(tree: RootedDir, name: string): OpenFile {
  return openForWrite(`${tree.path}/${name}`, { existing: "allow" });
}
