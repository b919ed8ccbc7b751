// SPDX-License-Identifier: Apache-2.0
import { whyNoTmpfs } from "../support/memory_file_system.ts";
import { runSuite } from "./scratch_driver.ts";

runSuite("vfs", undefined);

const dir = "/dev/shm";
runSuite({ name: "vfs on tmpfs", driver: "vfs", dir, cases: "light" }, whyNoTmpfs(dir));
