// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { MEMORY, whyNoTmpfs } from "../support/memory_file_system.ts";
import { isHeavy, isLight, isQuick, runSuite } from "./scratch_driver.ts";

const noTmpfs = whyNoTmpfs(MEMORY);
const noOverlay = await probeOverlay(tmpdir());

const onTmpfs = noTmpfs ?? await probeOverlay(MEMORY);

runSuite({ name: "overlay2", cases: isQuick }, noOverlay);
runSuite({ name: "overlay2 on tmpfs", driver: "overlay2", dir: MEMORY, cases: isLight, runtimes: "deno" }, onTmpfs);
// In memory, where there is some: on a disk, a deep stack waits for the journal at every layer.
runSuite(
  onTmpfs === undefined
    ? { name: "overlay2, at length", driver: "overlay2", dir: MEMORY, cases: isHeavy }
    : { name: "overlay2, at length", driver: "overlay2", cases: isHeavy },
  noOverlay,
);

for (const mountOptions of ["nodev,noatime", "volatile"]) {
  const options = { "overlay2.mountopt": mountOptions };
  runSuite(
    { name: `overlay2, ${mountOptions}`, driver: "overlay2", options, cases: isLight, runtimes: "deno" },
    noOverlay,
  );
}
