// SPDX-License-Identifier: Apache-2.0
import { MEMORY, whyNoTmpfs } from "../support/memory_file_system.ts";
import { isTrusting, runSuite } from "./scratch_driver.ts";

const noTmpfs = whyNoTmpfs(MEMORY);

// What takes seconds is done in memory, where it takes fewer.
runSuite({ name: "vfs", cases: ({ cost }) => cost !== "heavy" || noTmpfs !== undefined }, undefined);
runSuite({ name: "vfs on tmpfs", driver: "vfs", dir: MEMORY, cases: isTrusting }, noTmpfs);
