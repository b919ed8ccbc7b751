// SPDX-License-Identifier: Apache-2.0
/**
 * `deno task test`: checks the types of all tests and examples once, then runs them in as many processes at once as there
 * are processors, a few files each. Processes and not threads (`deno test --parallel`), because tests change and count what
 * belongs to a process: its umask, its threads, its open files.
 *
 * A process's output is printed as a whole when it has ended. With paths as arguments, only the tests below those are run;
 * `deno task test:interop` is `tests/interop`, which is left out otherwise.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "./npm_project.ts";

const INTEROP = "tests/interop";
/** Each of these takes minutes, and has a file system for itself. */
const FILE_SYSTEMS = "tests/interop/file_systems";
/** Small enough that the last processes to end leave no processor idle for long; a process takes half a second to start. */
const FILES_PER_PROCESS = 5;
/** What takes longest goes first. */
const LONGEST_FIRST = [
  INTEROP,
  FILE_SYSTEMS,
  "tests/conformance",
  "tests/store",
  "tests/cli",
  "tests/driver",
  "tests/image",
];
const DOCUMENTS = ["mod.ts", "README.md", "src"];

/** What one process runs. */
type Job = readonly string[];

await main(process.argv.slice(2));

async function main(paths: readonly string[]): Promise<void> {
  const start = Date.now();
  const jobs = paths.length === 0
    ? [...testJobs(testFiles("tests").filter(isOwn)), DOCUMENTS]
    : testJobs(paths.flatMap(testFiles));
  if (await deno(["test", "--no-run", "--doc", ...jobs.flat()]) !== 0) return fail("the types are wrong");
  const waiting = jobs.values();
  const failed: Job[] = [];
  const work = async (): Promise<void> => {
    for (const job of waiting) {
      if (await deno(["test", "-A", "--no-check", "--doc", ...job]) !== 0) failed.push(job);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  console.log(`\n${jobs.length} processes in ${Math.round((Date.now() - start) / 1000)} s`);
  if (failed.length > 0) fail(`tests have failed in\n${failed.map((job) => `  ${job.join(" ")}`).join("\n")}`);
}

/** The files in the order in which they start, a few of one folder together. */
function testJobs(files: readonly string[]): Job[] {
  const folders = [...new Set(files.map(folderOf))].sort((a, b) => rank(a) - rank(b));
  return folders.flatMap((folder) =>
    chunks(files.filter((file) => folderOf(file) === folder), filesPerProcess(folder))
  );
}

/** Other implementations are asked one after the other: they may share what is the machine's. */
function filesPerProcess(folder: string): number {
  if (folder === FILE_SYSTEMS) return 1;
  return folder === INTEROP ? Infinity : FILES_PER_PROCESS;
}

function testFiles(path: string): string[] {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path];
  return readdirSync(join(ROOT, path), { recursive: true, encoding: "utf8" })
    .map((name) => join(path, name))
    .filter((file) => file.endsWith("_test.ts"))
    .sort();
}

function isOwn(file: string): boolean {
  return !file.startsWith(`${INTEROP}/`);
}

/** `tests/store` of a file in it, however deep. */
function folderOf(file: string): string {
  if (file.startsWith(`${FILE_SYSTEMS}/`)) return FILE_SYSTEMS;
  return file.split("/", 2).join("/");
}

function rank(folder: string): number {
  const index = LONGEST_FIRST.indexOf(folder);
  return index < 0 ? LONGEST_FIRST.length : index;
}

function chunks(files: readonly string[], length: number): Job[] {
  if (files.length <= length) return [files];
  return [files.slice(0, length), ...chunks(files.slice(length), length)];
}

/** Runs this runtime, and prints what it says when it has ended; resolves to its exit code. */
function deno(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const output: Uint8Array[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Uint8Array) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      for (const chunk of output) process.stdout.write(chunk);
      resolve(code ?? 1);
    });
  });
}

function fail(reason: string): void {
  console.error(`\nCannot call the tests passed: ${reason}`);
  process.exitCode = 1;
}
