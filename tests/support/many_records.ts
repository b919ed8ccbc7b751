// SPDX-License-Identifier: Apache-2.0
/**
 * Stores of many records, each with a layer of its own, made by their files alone.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { digestOf, parseChainId, parseDiffId } from "../../src/core/digest.ts";
import { parseRecordId, randomCacheId, type RecordId } from "../../src/core/ids.ts";
import { CatalogRecords } from "../../src/metadata/catalog/catalog_records.ts";
import { LayerDb } from "../../src/metadata/layerdb.ts";
import { StoreLayout } from "../../src/metadata/layout.ts";
import { withWriteLock } from "../../src/metadata/write_lock.ts";

/** Makes a store of the driver vfs at `root`, which must not be there. */
export async function makeManyRecords(root: string, count: number): Promise<void> {
  const layout = new StoreLayout(root, "vfs");
  for (const dir of [`${root}/strata`, `${root}/vfs/dir`, layout.layersDir]) mkdirSync(dir, { recursive: true });
  const layerDb = new LayerDb(layout, { durability: "none" });
  const catalog = new CatalogRecords(layout, { durability: "none" });
  await withWriteLock(layout, {}, (lock) => {
    for (let index = 0; index < count; index++) {
      const chainId = parseChainId(digestOf(`layer ${index}`));
      const created = new Date(index).toISOString();
      const record = { chainId, diffId: parseDiffId(chainId), cacheId: randomCacheId(), sizeBytes: index };
      const stagedDir = `${root}/strata/staged`;
      mkdirSync(stagedDir);
      layerDb.stageRecord(stagedDir, { ...record, created });
      writeFileSync(`${stagedDir}/tar-split.json.gz`, "");
      layerDb.publish(lock, { chainId, stagedDir });
      mkdirSync(`${root}/vfs/dir/${record.cacheId}`);
      catalog.create(lock, {
        id: recordIdOf(index),
        names: [recordNameOf(index)],
        target: { kind: "layer", chainId },
        created,
        metadata: "",
        flags: {},
        content: { diffId: record.diffId, sizeBytes: index, archiveBytes: 10_240 },
        blob: { digest: chainId, size: 1000, compression: "gzip" },
      });
    }
  });
}

/** The id of a record in such a store. */
export function recordIdOf(index: number): RecordId {
  return parseRecordId(digestOf(`record ${index}`).slice("sha256:".length));
}

/** Its only name. */
export function recordNameOf(index: number): string {
  return `docker.io/library/image-${index}:latest`;
}
