// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { MEMORY, whyNoTmpfs } from "../support/memory_file_system.ts";
import { isHeavy, isQuick, runSuite } from "./scratch_driver.ts";
import { NAIVE_DIFFS, WITH_MOUNT_OPTIONS } from "./setups.ts";

const noTmpfs = whyNoTmpfs(MEMORY);
const noOverlay = await probeOverlay(tmpdir());

const onTmpfs = noTmpfs ?? await probeOverlay(MEMORY);

runSuite({ name: "overlay2", cases: isQuick }, noOverlay);
runSuite({ name: "overlay2 on tmpfs", driver: "overlay2", dir: MEMORY, cases: isQuick, runtimes: "deno" }, onTmpfs);
// In memory, where there is some: on a disk, a deep stack waits for the journal at every layer.
runSuite(
  onTmpfs === undefined
    ? { name: "overlay2, at length", driver: "overlay2", dir: MEMORY, cases: isHeavy }
    : { name: "overlay2, at length", driver: "overlay2", cases: isHeavy },
  noOverlay,
);

for (const setup of [...WITH_MOUNT_OPTIONS, NAIVE_DIFFS]) {
  runSuite({ ...setup, cases: isQuick, runtimes: "deno" }, noOverlay);
}
