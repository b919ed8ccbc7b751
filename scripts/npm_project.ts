// SPDX-License-Identifier: Apache-2.0
/**
 * What the scripts around the npm package share: where things lie, what `deno.json` says, how programs are run.
 *
 *   npm/package/      what is published
 *   npm/checks/       the tests, scripts, benchmarks and single modules, compiled, for test_npm.ts and bench_npm.ts
 *   npm/package.tgz   npm/package, packed
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";

/** The repository's root. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** The package as it is published. */
export const PACKAGE = join(ROOT, "npm/package");
/** The compiled tests, scripts and benchmarks, and the single modules. */
export const CHECKS = join(ROOT, "npm/checks");
/** The packed package. */
export const TARBALL = join(ROOT, "npm/package.tgz");

/** The public modules and the command line: what they are called in the package, and where the checks look for them. */
export const PUBLIC_MODULES = { mod: "mod.js", testing: "src/testing/mod.js", cli: "cli.js" } as const;

const DenoJson = v.object({
  name: v.string(),
  version: v.string(),
  license: v.string(),
  imports: v.record(v.string(), v.string()),
  compilerOptions: v.record(v.string(), v.boolean()),
});

/** The parts of `deno.json` that the npm package is made from. */
export type DenoConfig = v.InferOutput<typeof DenoJson>;

/** Reads `deno.json`. */
export function readDenoConfig(): DenoConfig {
  return v.parse(DenoJson, JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8")));
}

/**
 * The version that the import map pins.
 * @throws {Error} when the package is not in the import map
 */
export function pinnedVersion(config: DenoConfig, name: string): string {
  const target = config.imports[name] ?? "";
  if (!target.startsWith(`npm:${name}@`)) throw new Error(`Cannot pin ${name}: deno.json names no version of it`);
  return target.slice(`npm:${name}@`.length);
}

/** Names of all packages of the import map, without those entries that name a package's inner module. */
export function packageNames(config: DenoConfig): string[] {
  return Object.keys(config.imports).filter((name) => packageOf(name) === name);
}

/** The package that a specifier belongs to. */
export function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** Where and how a program is run. */
export interface RunOptions {
  readonly cwd: string;
}

/**
 * Runs a program with this process's output.
 * @throws {Error} when it fails
 */
export function run(command: readonly string[], { cwd }: RunOptions): void {
  const [program = "", ...args] = command;
  const { status, error } = spawnSync(program, args, { cwd, stdio: "inherit" });
  if (error !== undefined) throw new Error(`Cannot run ${program}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`Cannot go on: "${command.slice(0, 3).join(" ")}" failed`);
}

/**
 * Installs the packed package into an empty directory, as its users do, and lays the checks beside it. Where those import
 * what is public, or run the command line, links lead them into the installed package. Other modules they have for
 * themselves, as a second copy of the package would be; what both have to agree on is that the package recognises it.
 */
export function installChecks(home: string, config: DenoConfig): void {
  // Some tests run the program as an ordinary user.
  chmodSync(home, 0o755);
  writeFileSync(join(home, "package.json"), `{ "private": true, "type": "module" }\n`);
  const packages = [TARBALL, `fast-check@${pinnedVersion(config, "fast-check")}`];
  run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", ...packages], { cwd: home });
  cpSync(CHECKS, home, { recursive: true });
  for (const [name, path] of Object.entries(PUBLIC_MODULES)) {
    symlinkSync(join(home, "node_modules", config.name, `dist/${name}.js`), join(home, path));
  }
}

/** A temporary directory that goes away with its scope. */
export class ScratchDirectory implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "strata-npm-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
