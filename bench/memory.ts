// SPDX-License-Identifier: Apache-2.0
/**
 * Peak memory of taking in a layer of 20 MB and one of 2 GB, each in a process of its own: memory must not grow with the
 * layer. A plain layer is registered from a stream, a compressed one is read from a file as `strata load` does it.
 *
 *   deno run -A bench/memory.ts [DIRECTORY]
 *   deno task build:npm && deno task bench:npm [DIRECTORY]
 *
 * The directory (default: a tmpfs) needs room for the layer. Linux: the peak is VmHWM of proc_pid_status(5). Exits 1 when
 * the peaks differ by more than 60 MB.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { LayerStore } from "../mod.ts";
import { takeIn } from "../src/store/take_in.ts";
import { generatedLayer } from "./generated_layer.ts";

const GROWTH_MAX_MB = 60;
const SIZES_MB = [20, 2000] as const;
const FORMS = ["plain", "gzip"] as const;

/** One measurement, as a child gets it. */
interface Run {
  readonly driver: string;
  readonly form: (typeof FORMS)[number];
  readonly sizeMb: number;
  readonly dir: string;
}

const [, , first = "/dev/shm"] = process.argv;
if (first.startsWith("{")) console.log(await registerOnce(JSON.parse(first)));
else await compareAll(first);

async function compareAll(place: string): Promise<void> {
  const drivers = process.getuid?.() === 0 ? ["overlay2", "vfs"] : ["vfs"];
  let missed = false;
  console.log(
    "driver    form  " + [...SIZES_MB.map((size) => `${size} MB`), "growth"].map((name) => name.padStart(10)).join(""),
  );
  for (const driver of drivers) {
    for (const form of FORMS) {
      const small = await peakMb(place, { driver, form, sizeMb: SIZES_MB[0] });
      const large = await peakMb(place, { driver, form, sizeMb: SIZES_MB[1] });
      const growth = large - small;
      missed ||= growth > GROWTH_MAX_MB;
      const columns = [small, large, growth].map((mb) => `${mb.toFixed(0)} MB`.padStart(10));
      console.log(driver.padEnd(10) + form.padEnd(6) + columns.join(""));
    }
  }
  if (missed) console.error(`Memory grew by more than ${GROWTH_MAX_MB} MB`);
  process.exitCode = missed ? 1 : 0;
}

/** The peak of a process that registers one layer, in a directory that is removed afterwards. */
async function peakMb(place: string, run: Omit<Run, "dir">): Promise<number> {
  const dir = mkdtempSync(`${place}/strata-memory-`);
  try {
    if (run.form === "gzip") await writeFile(blobIn(dir), tarOf(run).pipeThrough(new CompressionStream("gzip")));
    const runtime = "deno" in process.versions ? ["run", "-A"] : [];
    const args = [...runtime, fileURLToPath(import.meta.url), JSON.stringify({ ...run, dir } satisfies Run)];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot measure ${JSON.stringify(run)}: ${stderr}`);
    return Number(stdout);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function registerOnce({ driver, form, sizeMb, dir }: Run): Promise<number> {
  await using store = await LayerStore.open({ root: `${dir}/root`, runRoot: `${dir}/run`, driver });
  const layers = [{ source: { kind: "file", path: blobIn(dir) } } as const];
  if (form === "plain") await store.register(tarOf({ sizeMb }));
  else await takeIn(LayerStore.contextOf(store), { layers, parent: undefined }, () => {});
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1000;
}

function tarOf({ sizeMb }: Pick<Run, "sizeMb">): ReadableStream<Uint8Array<ArrayBuffer>> {
  return generatedLayer({ sizeBytes: sizeMb * 1_000_000, seed: 1 });
}

function blobIn(dir: string): string {
  return `${dir}/layer.tar.gz`;
}
