// SPDX-License-Identifier: Apache-2.0
/**
 * Second half of `deno task build:npm`: installs the packed package into an empty directory, as its users do, and runs
 * there, under Node, the tests, the command line, and the demo.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { installChecks, readDenoConfig, run, ScratchDirectory } from "./npm_project.ts";

main();

function main(): void {
  const config = readDenoConfig();
  using scratch = new ScratchDirectory();
  const home = scratch.path;
  installChecks(home, config);
  const results = [
    attempt("the tests under Node", () => runTests(home)),
    attempt("npx strata --version", () => checkVersion(home, config.version)),
    attempt("the demo under Node", () => runDemo(home)),
  ];
  if (results.includes("failed")) process.exitCode = 1;
}

/** Each check runs, whatever became of the one before. */
function attempt(name: string, check: () => void): "passed" | "failed" {
  try {
    check();
    console.log(`npm: ${name}: passed`);
    return "passed";
  } catch (error) {
    console.error(`npm: ${name}: failed: ${error instanceof Error ? error.message : error}`);
    return "failed";
  }
}

/** Node 20 takes no patterns, so the files are named. Deno looks for counterexamples at length; a few runs do here. */
function runTests(home: string): void {
  process.env.STRATA_PROPERTY_RUNS ??= "25";
  const files = readdirSync(join(home, "tests"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("_test.js")).sort().map((path) => join("tests", path));
  const concurrency = `--test-concurrency=${availableParallelism()}`;
  run(["node", "--test", "--test-reporter=spec", concurrency, ...files], { cwd: home });
}

function checkVersion(home: string, version: string): void {
  const { stdout } = spawnSync("npx", ["--no-install", "strata", "--version"], { cwd: home, encoding: "utf8" });
  if (!stdout.includes(version)) throw new Error(`Cannot find version ${version} in "${stdout.trim()}"`);
}

/** The demo's own directory is not this one, so npx is told where the package is installed. */
function runDemo(home: string): void {
  run(["node", "scripts/demo.js", "--cli", "npx", "--no-install", "--prefix", home, "strata"], { cwd: home });
}
