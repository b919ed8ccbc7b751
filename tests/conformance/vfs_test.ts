// SPDX-License-Identifier: Apache-2.0
import { MEMORY, whyNoTmpfs } from "../support/memory_file_system.ts";
import { isHeavy, isQuick, runSuite } from "./scratch_driver.ts";

const noTmpfs = whyNoTmpfs(MEMORY);

runSuite({ name: "vfs", cases: isQuick }, undefined);
runSuite({ name: "vfs on tmpfs", driver: "vfs", dir: MEMORY, cases: isQuick, runtimes: "deno" }, noTmpfs);
runSuite(
  noTmpfs === undefined
    ? { name: "vfs, at length", driver: "vfs", dir: MEMORY, cases: isHeavy, runtimes: "deno" }
    : { name: "vfs, at length", driver: "vfs", cases: isHeavy, runtimes: "deno" },
  undefined,
);
