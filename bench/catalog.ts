// SPDX-License-Identifier: Apache-2.0
/**
 * How commands of a cold process fare in a store of many records, each with a layer of its own, beside a store of ten.
 *
 *   deno run -A bench/catalog.ts [RECORDS [RUNS [DIRECTORY]]]
 *
 * Stated are medians of whole processes, and how they compare. Exits 1 when `layers` takes more than 1.5 s, or what concerns
 * one record more than 1.3 times as long as in the store of ten. Finding one by the beginning of its id lists directories.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { makeManyRecords, recordIdOf as idOf, recordNameOf as nameOf } from "../tests/support/many_records.ts";

const LAYERS_MAX_S = 1.5;
const RATIO_MAX = 1.3;
const FEW = 10;

const [many = 50_000, runs = 5] = process.argv.slice(2, 4).map(Number);
const base = mkdtempSync(`${process.argv[4] ?? "/dev/shm"}/strata-catalog-`);
const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
try {
  for (const [store, count] of [["few", FEW], ["many", many]] as const) {
    await makeManyRecords(`${base}/${store}`, count);
    // The first writer of a store that others have filled reads all of it.
    console.log(
      `first change${seconds(store, ["name", "add", idOf(0), "first"]).toFixed(3).padStart(12)} s of ${count}`,
    );
  }
  let removed = 0;
  const commands: Record<string, (count: number) => string[]> = {
    "layers -q": () => ["layers", "-q"],
    "layers": () => ["layers"],
    "layers --json": () => ["layers", "--json"],
    "inspect ID": (count) => ["inspect", idOf(count >> 1)],
    "inspect NAME": (count) => ["inspect", nameOf(count >> 1)],
    "exists PREFIX": (count) => ["exists", idOf(count >> 1).slice(0, 20)],
    "name add": (count) => ["name", "add", idOf(count >> 1), `extra-${Math.random()}`],
    "create": () => ["create", `work-${Math.random()}`],
    "rm": (count) => ["rm", idOf(count - 1 - (removed++ % runs))],
  };
  let missed = false;
  for (const [name, argsOf] of Object.entries(commands)) {
    const few = median(() => seconds("few", argsOf(FEW)));
    const lots = median(() => seconds("many", argsOf(many)));
    const ratio = lots / few;
    missed ||= name.startsWith("layers") ? lots > LAYERS_MAX_S : name !== "exists PREFIX" && ratio > RATIO_MAX;
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
