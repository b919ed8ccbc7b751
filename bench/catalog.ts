// SPDX-License-Identifier: Apache-2.0
/**
 * How commands of a cold process fare in a store of many records, each with a layer of its own, beside a store of ten.
 *
 *   deno run -A bench/catalog.ts [RECORDS [RUNS [DIRECTORY]]]
 *
 * Stated are medians of the processes' own time, and those less what the process takes to say its version. Exits 1 when
 * `layers` takes more than 1.5 s, or looking one record up more than 1.3 times as long as in the store of ten.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseChainId, parseDiffId, type RecordId } from "../mod.ts";
import { digestOf } from "../src/core/digest.ts";
import { parseRecordId, randomCacheId } from "../src/core/ids.ts";
import { CatalogRecords } from "../src/metadata/catalog/catalog_records.ts";
import { LayerDb } from "../src/metadata/layerdb.ts";
import { StoreLayout } from "../src/metadata/layout.ts";
import { withWriteLock } from "../src/metadata/write_lock.ts";

const LAYERS_MAX_S = 1.5;
const RATIO_MAX = 1.3;
const FEW = 10;

const [many = 50_000, runs = 5] = process.argv.slice(2, 4).map(Number);
const base = mkdtempSync(`${process.argv[4] ?? "/dev/shm"}/strata-catalog-`);
const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
try {
  await fill(`${base}/few`, FEW);
  await fill(`${base}/many`, many);
  const commands: Record<string, (count: number) => string[]> = {
    "layers -q": () => ["layers", "-q"],
    "layers": () => ["layers"],
    "layers --json": () => ["layers", "--json"],
    "inspect ID": (count) => ["inspect", idOf(count >> 1)],
    "inspect NAME": (count) => ["inspect", nameOf(count >> 1)],
    "exists PREFIX": (count) => ["exists", idOf(count >> 1).slice(0, 20)],
    "name add": (count) => ["name", "add", idOf(count >> 1), `extra-${Math.random()}`],
  };
  let missed = false;
  for (const [name, argsOf] of Object.entries(commands)) {
    const few = median(() => seconds("few", argsOf(FEW)));
    const lots = median(() => seconds("many", argsOf(many)));
    const ratio = lots / few;
    missed ||= name.startsWith("layers") ? lots > LAYERS_MAX_S : name.startsWith("inspect") && ratio > RATIO_MAX;
    console.log(
      `${name.padEnd(16)}${few.toFixed(3).padStart(8)} s of ${FEW}${lots.toFixed(3).padStart(9)} s of ${many}${
        ratio.toFixed(2).padStart(8)
      }`,
    );
  }
  process.exitCode = missed ? 1 : 0;
} finally {
  rmSync(base, { recursive: true });
}

async function fill(root: string, count: number): Promise<void> {
  mkdirSync(`${root}/strata`, { recursive: true });
  mkdirSync(`${root}/vfs/dir`, { recursive: true });
  const layout = new StoreLayout(root, "vfs");
  const layerDb = new LayerDb(layout, { durability: "none" });
  const catalog = new CatalogRecords(layout, { durability: "none" });
  mkdirSync(layout.layersDir, { recursive: true });
  await withWriteLock(layout, {}, (lock) => {
    for (let index = 0; index < count; index++) {
      const chainId = parseChainId(digestOf(`layer ${index}`));
      const record = { chainId, diffId: parseDiffId(chainId), cacheId: randomCacheId(), sizeBytes: index };
      const stagedDir = `${root}/strata/staged`;
      mkdirSync(stagedDir);
      layerDb.stageRecord(stagedDir, { ...record, created: new Date(index).toISOString() });
      writeFileSync(`${stagedDir}/tar-split.json.gz`, "");
      layerDb.publish(lock, { chainId, stagedDir });
      mkdirSync(`${root}/vfs/dir/${record.cacheId}`);
      catalog.create(lock, {
        id: idOf(index),
        names: [nameOf(index)],
        target: { kind: "layer", chainId },
        created: new Date(index).toISOString(),
        metadata: "",
        flags: {},
        content: { diffId: record.diffId, sizeBytes: index, archiveBytes: 10_240 },
        blob: { digest: chainId, size: 1000, compression: "gzip" },
      });
    }
  });
}

function idOf(index: number): RecordId {
  return parseRecordId(digestOf(`record ${index}`).slice("sha256:".length));
}

function nameOf(index: number): string {
  return `docker.io/library/image-${index}:latest`;
}

function seconds(store: string, args: readonly string[]): number {
  const all = ["run", "-A", cli, "--root", `${base}/${store}`, "--run-root", `${base}/run-${store}`, ...args];
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, all, { encoding: "utf8", maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(`strata ${args.join(" ")} failed: ${stderr}`);
  return (performance.now() - began) / 1000;
}

function median(measure: () => number): number {
  const values = Array.from({ length: runs }, measure).sort((a, b) => a - b);
  return values[values.length >> 1]!;
}
