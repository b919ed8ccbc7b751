// SPDX-License-Identifier: Apache-2.0
/**
 * `deno task bench:npm [DIRECTORY]`: installs the npm package that was built last into an empty directory, and measures
 * there, under Node, the memory and the event loop. `bench/load.ts` compares both runtimes by itself.
 *
 * @module
 */
import process from "node:process";
import { installChecks, readDenoConfig, run, ScratchDirectory } from "./npm_project.ts";

const PROGRAMS = ["bench/memory.js", "bench/responsive.js"];

main(process.argv.slice(2));

function main(args: readonly string[]): void {
  using scratch = new ScratchDirectory();
  installChecks(scratch.path, readDenoConfig());
  for (const program of PROGRAMS) run(["node", program, ...args], { cwd: scratch.path });
}
