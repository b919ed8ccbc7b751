// SPDX-License-Identifier: Apache-2.0
/**
 * Loading a real image: `strata load`, on Deno and on Node, against `skopeo copy` into containers-storage and
 * `umoci unpack`, turn by turn in one run on a tmpfs.
 *
 *   deno run -A bench/load.ts IMAGE_DIR [RUNS]
 *
 * IMAGE_DIR holds an OCI layout `image.oci` with a reference `1`. Root; Linux; needs skopeo and umoci. The npm package is
 * measured when `deno task build:npm` has made it. Exits 1 when the median is over 0.6 of the faster reference's.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A way to load the image, given an empty directory. */
interface Contender {
  readonly name: string;
  readonly role: "ours" | "reference";
  readonly command: (dir: string) => readonly string[];
}

const RATIO_MAX = 0.6;
const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));

function contenders(image: string, base: string): Contender[] {
  const load = (dir: string) => ["--root", `${dir}/root`, "--run-root", `${dir}/run`, "load", `${image}/image.oci`];
  const reference = `oci:${image}/image.oci:1`;
  return [
    {
      name: "strata on Deno",
      role: "ours",
      command: (dir) => [deno(), "run", "-A", `${REPOSITORY}cli.ts`, ...load(dir)],
    },
    ...onNode(load, base),
    {
      name: "skopeo copy",
      role: "reference",
      command: (
        dir,
      ) => ["skopeo", "copy", "-q", reference, `containers-storage:[overlay@${dir}/root+${dir}/run]bench:1`],
    },
    {
      name: "umoci unpack",
      role: "reference",
      command: (dir) => ["umoci", "unpack", "--image", `${image}/image.oci:1`, `${dir}/bundle`],
    },
  ];
}

/** The packed npm package, installed as a user would. */
function onNode(load: (dir: string) => readonly string[], base: string): Contender[] {
  const tarball = `${REPOSITORY}npm/package.tgz`;
  if (!existsSync(tarball)) return [];
  const { status, stderr } = spawnSync("npm", ["install", "--prefix", `${base}/node`, tarball], { encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot install ${tarball}: ${stderr}`);
  const cli = `${base}/node/node_modules/.bin/strata`;
  return [{ name: "strata on Node", role: "ours", command: (dir) => ["node", cli, ...load(dir)] }];
}

function deno(): string {
  return process.env["DENO"] ?? process.execPath;
}

/** Seconds of one run in a fresh directory on the tmpfs. */
function timeOnce(contender: Contender, base: string): number {
  const dir = mkdtempSync(`${base}/run-`);
  const [program = "", ...args] = contender.command(dir);
  const start = performance.now();
  const { status, stderr } = spawnSync(program, args, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  const seconds = (performance.now() - start) / 1000;
  spawnSync("umount", ["-l", `${dir}/root/overlay`]);
  rmSync(dir, { recursive: true, force: true });
  if (status !== 0) throw new Error(`Cannot run ${contender.name}: exit ${status}: ${stderr}`);
  return seconds;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function main([image, runs = "5"]: readonly string[]): number {
  if (image === undefined) throw new Error("Cannot run: give the directory that holds image.oci");
  const base = mkdtempSync("/dev/shm/strata-bench-");
  mkdirSync(base, { recursive: true });
  try {
    const all = contenders(image, base);
    const times = new Map(all.map((contender) => [contender, [] as number[]]));
    for (const contender of all) timeOnce(contender, base);
    for (let run = 0; run < Number(runs); run++) {
      for (const contender of all) times.get(contender)?.push(timeOnce(contender, base));
    }
    return report(times);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

function report(times: ReadonlyMap<Contender, readonly number[]>): number {
  const references = [...times].filter(([{ role }]) => role === "reference").map(([, seconds]) => median(seconds));
  const fastest = Math.min(...references);
  let missed = 0;
  for (const [{ name, role }, seconds] of times) {
    const ratio = median(seconds) / fastest;
    if (role === "ours" && ratio > RATIO_MAX) missed++;
    const range = `${Math.min(...seconds).toFixed(2)}–${Math.max(...seconds).toFixed(2)}`;
    console.log(
      `${name.padEnd(16)} median ${median(seconds).toFixed(2)} s (${range})  ${
        ratio.toFixed(2)
      } of the faster reference`,
    );
  }
  console.log(missed === 0 ? `within ${RATIO_MAX}` : `missed: over ${RATIO_MAX}`);
  return missed === 0 ? 0 : 1;
}

process.exit(main(process.argv.slice(2)));
