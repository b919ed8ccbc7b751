// SPDX-License-Identifier: Apache-2.0
/**
 * Layers with which roots of containers/storage are filled, and what is asked of reading them: that it tells and gives the
 * same as that tool.
 *
 * @module
 */
import assert from "node:assert/strict";
import { digestOf } from "../../src/core/digest.ts";
import type { LayerRecord } from "../../src/metadata/layer_record.ts";
import { changes } from "../../src/store/changes.ts";
import { exportLayer } from "../../src/store/export.ts";
import type { ReadingContext } from "../../src/store/reading.ts";
import type { ReadOnlyRoot } from "../../src/store/roots/read_only_root.ts";
import { resolveTarget } from "../../src/store/target.ts";
import { verify } from "../../src/store/verify.ts";
import type { ContainersTool, ToolRecord } from "./containers_tool.ts";
import { concat, rawMember } from "./tar_builder.ts";

/** Maps of a container, as the tool takes them. */
export const MAPS: readonly string[] = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];

/** A layer on nothing. */
export const BASE: Uint8Array = tar(
  rawMember({ name: "dir/", type: "5", mode: 0o755, mtime: 5 }),
  rawMember({ name: "dir/kept", uid: 1000, gid: 1001, mtime: 6 }, "kept\n"),
  rawMember({ name: "dir/gone", mtime: 7 }, "gone\n"),
  rawMember({ name: "cut/", type: "5", mode: 0o755, mtime: 8 }),
  rawMember({ name: "cut/old", mtime: 9 }, "old\n"),
  rawMember({ name: "hard", type: "1", linkName: "dir/kept", mtime: 6, uid: 1000, gid: 1001 }),
  rawMember({ name: "link", type: "2", linkName: "dir", mtime: 10 }),
);
/** One upon it, with deletions. */
export const TOP: Uint8Array = tar(
  rawMember({ name: "dir/.wh.gone", mtime: 11 }),
  rawMember({ name: "cut/", type: "5", mode: 0o700, mtime: 12 }),
  rawMember({ name: "cut/.wh..wh..opq", mtime: 12 }),
  rawMember({ name: "cut/new", mtime: 13, uid: 5 }, "new\n"),
);
/** For user namespaces, where the tool cannot mark opaque directories. */
export const WITHOUT_OPAQUE: Uint8Array = tar(rawMember({ name: "dir/.wh.gone", mtime: 11 }));
/** What {@link TOP} changes of {@link BASE}. */
export const CHANGES_OF_TOP: readonly string[] = [
  "modify cut",
  "add cut/new",
  "delete cut/old",
  "modify dir",
  "delete dir/gone",
];

/** The record of a layer with a ChainID. */
export function layerOf(reading: ReadingContext, ref: string): LayerRecord {
  const target = resolveTarget(reading, ref);
  if (target.kind !== "layer") throw new Error(`"${ref}" is no layer with a ChainID`);
  return target.record;
}

/** What a layer changes. */
export async function changedIn({ reading }: ReadOnlyRoot, ref: string): Promise<string[]> {
  const found = await changes(reading, resolveTarget(reading, ref));
  return found.map(({ kind, path }) => `${kind} ${path}`);
}

/** The same of a layer whose owners the tool has changed: it links hard links anew, and at times a directory's time tells. */
export async function changedInMapped(root: ReadOnlyRoot, ref: string): Promise<string[]> {
  return (await changedIn(root, ref)).filter((change) => change !== "modify dir" && change !== "modify ");
}

/** Layers of every kind. */
export function fill(tool: ContainersTool, top = TOP): void {
  tool.importLayer("base", BASE, "-n", "first", "-n", "weird/name:tag");
  tool.importLayer("top", top, "base");
  tool.importLayer("mapped-base", BASE, ...MAPS);
  tool.importLayer("mapped-top", top, ...MAPS, "mapped-base");
  tool.run("create-layer", "-i", "container", "top");
  tool.run("create-layer", "-i", "mapped-container", ...MAPS, "top");
}

/** Asks that all records are those that the tool shows. */
export function compareRecords(tool: ContainersTool, { reading }: ReadOnlyRoot): void {
  const theirs = tool.records("layers");
  const { records, findings } = reading.catalog.list();
  assert.deepEqual(findings, []);
  assert.deepEqual(records.map(({ id }) => String(id)), theirs.map(({ id }) => id));
  for (const record of records) {
    const [their] = tool.records("layer", record.id);
    assert.ok(their);
    const { content, blob } = record;
    assert.deepEqual({
      id: String(record.id),
      names: record.names,
      parent: record.parent,
      metadata: record.metadata,
      created: record.created,
      digest: content?.diffId,
      size: content?.archiveBytes,
      blob: blob?.digest,
      blobSize: blob?.size,
      maps: [record.uidMap ?? [], record.gidMap ?? []],
      data: record.bigData?.map(({ key }) => key) ?? [],
    }, shown(their));
    assert.equal(reading.catalog.get(record.id).id, record.id);
  }
}

/** A record of the tool's, in the form of the comparison. */
function shown(record: ToolRecord): object {
  return {
    id: record.id,
    names: record.names ?? [],
    parent: record.parent,
    metadata: record.metadata ?? "",
    created: record.created,
    digest: record["diff-digest"],
    size: record["diff-size"],
    blob: record["compressed-diff-digest"],
    blobSize: record["compressed-size"],
    maps: [record.uidmap ?? [], record.gidmap ?? []].map((map) =>
      map.map(({ container_id, host_id, size }) => ({ containerId: container_id, hostId: host_id, size }))
    ),
    data: record["big-data-names"] ?? [],
  };
}

/** Asks that layers are given back with the tool's bytes, and verify. */
export async function compareArchives(
  tool: ContainersTool,
  { reading }: ReadOnlyRoot,
  ids: readonly string[],
): Promise<void> {
  for (const id of ids) {
    const { chainId, diffId } = layerOf(reading, id);
    const theirs = tool.run("diff", "-u", id);
    const ours = await bytesOf(exportLayer(reading, chainId));
    assert.equal(digestOf(ours), diffId);
    assert.deepEqual(ours, theirs);
    assert.deepEqual(await verify(reading, chainId), { chainId, state: "ok" });
  }
}

/** All of a stream. */
export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk.slice());
  return concat(...chunks);
}

/** An archive of these members. */
export function tar(...members: readonly Uint8Array[]): Uint8Array {
  return concat(...members, new Uint8Array(1024));
}
