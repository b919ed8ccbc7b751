#!/usr/bin/env -S deno run -A
// SPDX-License-Identifier: Apache-2.0
/**
 * The command line `strata`. `strata --help` lists its commands.
 *
 * @module
 */
import process from "node:process";
import { main } from "./src/cli/main.ts";
import { processIo } from "./src/cli/process_io.ts";

// Output was waited for, and threads have ended with their store: nothing is lost by not waiting for open handles.
process.exit(await main(process.argv.slice(2), processIo()));
