// SPDX-License-Identifier: Apache-2.0
/**
 * How long the main thread is busy at a stretch while four gzip layers of 100 MB are registered at once on a tmpfs: the
 * most that a timer of 5 ms comes late.
 *
 *   deno run -A bench/responsive.ts [DIRECTORY]
 *   deno task build:npm && deno task bench:npm [DIRECTORY]
 *
 * The first use of a store starts its first thread, which costs once; it is stated by itself. Exits 1 when a timer comes
 * more than 50 ms late afterwards.
 *
 * @module
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { LayerStore } from "../mod.ts";
import { generatedLayer } from "./generated_layer.ts";

const LATE_MAX_MS = 50;
const PERIOD_MS = 5;
const LAYERS = 4;
const LAYER_BYTES = 100_000_000;

const base = mkdtempSync(`${process.argv[2] ?? "/dev/shm"}/strata-responsive-`);
try {
  const blobs = await makeBlobs();
  const drivers = process.getuid?.() === 0 ? ["overlay2", "vfs"] : ["vfs"];
  let missed = false;
  console.log(
    `${"driver".padEnd(10)}${"seconds".padStart(9)}${"timers".padStart(8)}${"latest".padStart(10)}${
      "first use".padStart(11)
    }`,
  );
  for (const driver of drivers) {
    const { seconds, timers, latestMs, firstMs } = await measure(driver, blobs);
    missed ||= latestMs > LATE_MAX_MS;
    const columns = [
      seconds.toFixed(1).padStart(9),
      String(timers).padStart(8),
      `${latestMs.toFixed(1)} ms`.padStart(10),
      `${firstMs.toFixed(1)} ms`.padStart(11),
    ];
    console.log(driver.padEnd(10) + columns.join(""));
  }
  if (missed) console.error(`A timer came more than ${LATE_MAX_MS} ms late`);
  process.exitCode = missed ? 1 : 0;
} finally {
  if (existsSync(base)) rmSync(base, { recursive: true });
}

async function makeBlobs(): Promise<Uint8Array<ArrayBuffer>[]> {
  const blobs: Uint8Array<ArrayBuffer>[] = [];
  for (let seed = 0; seed < LAYERS; seed++) {
    const tar = await new Response(generatedLayer({ sizeBytes: LAYER_BYTES, seed })).arrayBuffer();
    blobs.push(new Uint8Array(gzipSync(tar, { level: 1 })));
  }
  return blobs;
}

async function measure(driver: string, blobs: readonly Uint8Array<ArrayBuffer>[]) {
  const root = `${base}/${driver}`;
  await using store = await LayerStore.open({ root, runRoot: `${root}-run`, driver });
  const first = watchTimers();
  await store.register(generatedLayer({ sizeBytes: 1, seed: 0 }));
  const { latestMs: firstMs } = first.stop();
  const start = performance.now();
  const lateness = watchTimers();
  await Promise.all(blobs.map((blob) => store.register(streamOf(blob))));
  return { seconds: (performance.now() - start) / 1000, firstMs, ...lateness.stop() };
}

/** Chunks as a network gives them; copies, since the reader of a stream may keep what it gets. */
function streamOf(blob: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= blob.length) return controller.close();
      controller.enqueue(blob.slice(offset, offset += 65536));
    },
  }, { highWaterMark: 0 });
}

function watchTimers(): { stop: () => { timers: number; latestMs: number } } {
  let timers = 0;
  let latestMs = 0;
  let due = performance.now() + PERIOD_MS;
  let timer = setTimeout(tick, PERIOD_MS);
  function tick(): void {
    const now = performance.now();
    latestMs = Math.max(latestMs, now - due);
    timers++;
    due = now + PERIOD_MS;
    timer = setTimeout(tick, PERIOD_MS);
  }
  return {
    stop() {
      clearTimeout(timer);
      return { timers, latestMs: Math.max(latestMs, performance.now() - due) };
    },
  };
}
