// SPDX-License-Identifier: Apache-2.0
/**
 * `deno task demo`: what Strata does, on what is here anyway. This project and the machine's `/etc` become two layers; a
 * writable layer on them is mounted, changed and committed; and every layer is given back and compared by its digest.
 *
 *   scripts/demo.ts                        through the library
 *   scripts/demo.ts --cli "npx strata"     the same steps through the command line
 *
 * Nothing but a temporary directory is written to, and it is removed. Ends with 1 when anything is not as it should be.
 * As an ordinary user it runs in a user namespace, where that can have overlay mounts.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inUserNamespace, needsUserNamespace, packDirectory, runInUserNamespace } from "../mod.ts";
import { CommandLineStore, type DemoStore, LibraryStore } from "./demo_store.ts";

/** A layer that went in, and what its bytes were. */
interface Taken {
  readonly name: string;
  readonly chainId: string;
  readonly digest: string;
  readonly bytes: number;
}

/** Digest and number of bytes that have passed. */
class Tap {
  readonly #hash = createHash("sha256");
  bytes = 0;

  take(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
  }

  finish(): string {
    return this.#hash.digest("hex");
  }
}

const WRITABLE = "demo";

await main();

async function main(): Promise<void> {
  if (await needsUserNamespace({ root: tmpdir() }) === "yes") {
    process.exitCode = await runInUserNamespace(thisProgram(), { env: process.env });
    return;
  }
  const scratch = mkdtempSync(join(tmpdir(), "strata-demo-"));
  const place = { root: join(scratch, "root"), runRoot: join(scratch, "run") };
  const command = commandLine(process.argv.slice(2));
  try {
    await using store = command === undefined ? await LibraryStore.open(place) : new CommandLineStore(command, place);
    await demonstrate(store);
  } catch (error) {
    console.error(`\nThe demo failed: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The runtime, this script, and its arguments. */
function thisProgram(): string[] {
  const runtime = "deno" in process.versions ? ["run", "-A", "--quiet"] : process.execArgv;
  return [process.execPath, ...runtime, ...process.argv.slice(1)];
}

/** The words after `--cli`, one by one or as one string; without them, the library is shown. */
function commandLine(args: readonly string[]): string[] | undefined {
  const words = args[0] === "--cli" ? args.slice(1) : args;
  const [only] = words;
  if (only === undefined) return undefined;
  return words.length === 1 ? only.split(/\s+/) : [...words];
}

async function demonstrate(store: DemoStore): Promise<void> {
  await sayDriver(store);
  const project = await take(store, { name: "project", path: projectDir(), exclude: [".git", "node_modules", "npm"] });
  const etc = await take(store, { name: "etc", path: "/etc", exclude: [], parent: project.chainId });
  await store.create(WRITABLE, etc.chainId);
  const committed = await changeAndCommit(store);
  const wrong = await giveBack(store, [project, etc, committed]);
  for (const name of [WRITABLE, `${WRITABLE}-committed`, "etc", "project"]) await store.remove(name);
  if (wrong > 0) throw new Error(`${wrong} of 3 layers came back with other bytes`);
  console.log("\n3 of 3 layers came back byte for byte. All was removed again.");
}

async function sayDriver(store: DemoStore): Promise<void> {
  const driver = await store.driver();
  const place = inUserNamespace() ? "in a user namespace" : "here";
  const why = driver === "overlay2"
    ? `the best there is, and it works ${place}: the kernel lays layers over one another, nothing is copied`
    : `it works everywhere, by copies. ${await store.objection("overlay2")}`;
  console.log(`Driver ${driver}: ${why}\n`);
}

interface Source {
  readonly name: string;
  readonly path: string;
  readonly exclude: readonly string[];
  readonly parent?: string;
}

async function take(store: DemoStore, { name, path, exclude, parent }: Source): Promise<Taken> {
  const seconds = stopwatch();
  const tap = new Tap();
  let skipped = 0;
  const tar = packDirectory(path, { exclude, unreadable: "skip", onEnd: (report) => skipped = report.skippedCount });
  const tapped = tar.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        tap.take(chunk);
        controller.enqueue(chunk);
      },
    }),
  );
  const chainId = await store.register(tapped, { name, parent });
  const { bytes } = tap;
  const on = parent === undefined ? "" : " on the layer before";
  console.log(`register   ${path}${on}: ${megabytes(bytes)} in ${seconds()}${left(skipped)}`);
  return { name, chainId, bytes, digest: tap.finish() };
}

async function changeAndCommit(store: DemoStore): Promise<Taken> {
  const seconds = stopwatch();
  const path = await store.mount(WRITABLE);
  console.log(`mount      a writable layer on both, in ${seconds()}`);
  try {
    const expected = change(path);
    // The directory that holds them all has changed, too.
    const seen = (await store.changes(WRITABLE)).filter((line) => line !== "C /");
    console.log(`change     ${seen.join(", ")}`);
    if (seen.join() !== expected.join()) throw new Error(`the changes should be ${expected.join(", ")}`);
    return await commit(store);
  } finally {
    await store.unmount(WRITABLE);
  }
}

/** Changes the tree with nothing but the system's own calls. Says what a store should see, in bytewise order. */
function change(root: string): string[] {
  const at = (name: string) => join(root, name);
  for (const name of ["README.md", "LICENSE", "CHANGELOG.md"]) {
    if (!existsSync(at(name))) throw new Error(`the mounted tree has no ${name}`);
  }
  appendFileSync(at("README.md"), "\nEdited in a layer.\n");
  chmodSync(at("LICENSE"), 0o600);
  rmSync(at("CHANGELOG.md"));
  writeFileSync(at("hello.txt"), "Hello from the top layer\n");
  symlinkSync("hello.txt", at("hello.link"));
  return ["D /CHANGELOG.md", "C /LICENSE", "C /README.md", "A /hello.link", "A /hello.txt"];
}

async function commit(store: DemoStore): Promise<Taken> {
  const tap = await passed(store.diff(WRITABLE));
  const seconds = stopwatch();
  const chainId = await store.commit(WRITABLE);
  console.log(`commit     the change as a third layer: ${megabytes(tap.bytes)} in ${seconds()}\n`);
  return { name: "change", chainId, bytes: tap.bytes, digest: tap.finish() };
}

/** Gives every layer back. Tells how many are not what they were. */
async function giveBack(store: DemoStore, layers: readonly Taken[]): Promise<number> {
  let wrong = 0;
  for (const { name, chainId, digest } of layers) {
    const seconds = stopwatch();
    const tap = await passed(store.export(chainId));
    const out = tap.finish();
    if (out !== digest) wrong++;
    console.log(`export     ${name.padEnd(8)} in  sha256:${digest}`);
    console.log(`           ${seconds().padEnd(8)} out sha256:${out} ${out === digest ? "the same" : "DIFFERENT"}`);
  }
  return wrong;
}

async function passed(chunks: AsyncIterable<Uint8Array>): Promise<Tap> {
  const tap = new Tap();
  for await (const chunk of chunks) tap.take(chunk);
  return tap;
}

/** This repository, or the installed package, by where the library's own module really lies: in the package, in `dist`. */
function projectDir(): string {
  const [name, up] = import.meta.url.endsWith(".ts") ? ["../mod.ts", "."] : ["../mod.js", ".."];
  return join(dirname(realpathSync(fileURLToPath(new URL(name, import.meta.url)))), up);
}

function stopwatch(): () => string {
  const start = performance.now();
  return () => `${((performance.now() - start) / 1000).toFixed(2)} s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

function left(skipped: number): string {
  return skipped === 0 ? "" : ` (left out: ${skipped} that this user may not read, or that no tar can hold)`;
}
