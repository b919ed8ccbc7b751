// SPDX-License-Identifier: Apache-2.0
/**
 * Records of containers/storage as records of this package.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { DigestWriter } from "../../core/digest.ts";
import { isIdentity } from "../../core/id_map.ts";
import { parseRecordId } from "../../core/ids.ts";
import { fromText } from "../../core/bytes.ts";
import { parseLayerPath } from "../../core/layer_path.ts";
import { directoryExists } from "../../host/files.ts";
import type { OpenFile } from "../../host/open_file.ts";
import { lendChunks } from "../../host/read_chunks.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { BlobInfo, CompressionName } from "../blob_info.ts";
import type { BigDataItem, CatalogRecord } from "../catalog/catalog_record.ts";
import type { LayerRecord } from "../layer_record.ts";
import { type MountRecord, parseMountName } from "../mounts.ts";
import { attempt } from "../record_file.ts";
import { dataFileName } from "./data_names.ts";
import type { IndexedLayer } from "./layer_index.ts";

/** By the number that containers/storage gives a compression (pkg/archive, `Compression`). */
const COMPRESSIONS: readonly CompressionName[] = ["none", "bzip2", "gzip", "xz", "zstd"];

/** A layer as a record of the catalog; `undefined` when its stack is not whole. */
export function catalogRecordOf(layer: IndexedLayer): CatalogRecord | undefined {
  const { index, recordId: id, parent, created, metadata, flags, mountLabel, mappings, bigDataNames } = layer;
  const standing = index.standingOf(layer);
  if (standing.kind === "broken") return undefined;
  const blob = blobOf(layer);
  const parentId = parent === undefined ? undefined : attempt(() => parseRecordId(parent));
  const record: CatalogRecord = {
    id,
    names: index.namesOf(layer),
    target: standing.kind === "layer" ? standing : { kind: "writable", mountName: parseMountName(id) },
    ...(parentId === undefined ? {} : { parent: parentId }),
    created,
    metadata,
    flags,
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(isIdentity(mappings) ? {} : { uidMap: mappings.uids, gidMap: mappings.gids }),
    ...(blob === undefined ? {} : { blob }),
    ...(standing.kind === "layer" ? contentOf(layer) : {}),
  };
  return bigDataNames.length === 0 ? record : withBigData(record, layer);
}

/** A layer that is the top of a stack. */
export function layerRecordOf(layer: IndexedLayer, chainId: ChainId): LayerRecord | undefined {
  const { cacheId, created, uids, gids, archiveBytes } = layer;
  const content = contentOf(layer).content;
  const blob = blobOf(layer);
  if (content === undefined) return undefined;
  return {
    chainId,
    diffId: content.diffId,
    ...(content.parent === undefined ? {} : { parent: content.parent }),
    cacheId,
    sizeBytes: content.sizeBytes,
    created,
    ...(blob === undefined ? {} : { blob }),
    ...(archiveBytes === undefined ? {} : { archiveBytes }),
    ...(uids === undefined ? {} : { uids }),
    ...(gids === undefined ? {} : { gids }),
  };
}

/**
 * A layer that is no stack's top.
 * @param topOf the layer that stands for a stack
 */
export function mountRecordOf(
  layer: IndexedLayer,
  topOf: (chainId: ChainId) => IndexedLayer | undefined,
): MountRecord {
  const { index, recordId, cacheId, created, mountLabel, mappings } = layer;
  const below = index.parentOf(layer);
  const standing = below?.index.standingOf(below);
  const parent = standing?.kind === "layer" ? standing.chainId : undefined;
  const isTop = parent !== undefined && topOf(parent)?.cacheId === below?.cacheId;
  return {
    name: parseMountName(recordId),
    mountId: cacheId,
    // What it is compared with is the very layer that it lies on, which may not be the one that stands for its stack.
    ...(below === undefined || isTop ? {} : { initId: below.cacheId }),
    ...(parent === undefined ? {} : { parent }),
    created,
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(isIdentity(mappings) ? {} : { uidMap: mappings.uids, gidMap: mappings.gids }),
  };
}

/**
 * A layer's data item, open for reading; `undefined` when it has none of that key, or its file is gone.
 */
export function openDataItem({ layout, cacheId, bigDataNames }: IndexedLayer, key: string): OpenFile | undefined {
  const name = bigDataNames.includes(key) ? dataFileName(key) : undefined;
  const path = layout.dataDir(cacheId);
  if (name === undefined || !directoryExists(path)) return undefined;
  using dir = RootedDir.open(path, { within: [layout.root] });
  const item = parseLayerPath(fromText(name));
  return dir.stat(item)?.type === "file" ? dir.openRead(item) : undefined;
}

function contentOf(layer: IndexedLayer): Pick<CatalogRecord, "content"> {
  const { diffId, archiveBytes, index } = layer;
  if (diffId === undefined) return {};
  const below = index.parentOf(layer);
  const standing = below?.index.standingOf(below);
  return {
    content: {
      diffId,
      ...(standing?.kind === "layer" ? { parent: standing.chainId } : {}),
      // That tool counts no files; the archive is the nearest to it.
      sizeBytes: archiveBytes ?? 0,
      ...(archiveBytes === undefined ? {} : { archiveBytes }),
    },
  };
}

function blobOf({ blob, compression, tocDigest }: IndexedLayer): BlobInfo | undefined {
  const name = COMPRESSIONS[compression];
  if (blob === undefined || name === undefined) return undefined;
  return { ...blob, compression: name, ...(tocDigest === undefined ? {} : { tocDigest }) };
}

/** Nobody recorded digests of these items, so they are computed, once, for whoever asks. */
function withBigData(record: CatalogRecord, layer: IndexedLayer): CatalogRecord {
  let items: readonly BigDataItem[] | undefined;
  return {
    ...record,
    get bigData() {
      return items ??= layer.bigDataNames.flatMap((key) => itemOf(layer, key));
    },
  };
}

function itemOf(layer: IndexedLayer, key: string): BigDataItem[] {
  const file = openDataItem(layer, key);
  if (file === undefined) return [];
  const hash = new DigestWriter();
  for (const chunk of lendChunks(file)) hash.update(chunk);
  return [{ key, digest: hash.finish(), size: hash.sizeBytes }];
}
