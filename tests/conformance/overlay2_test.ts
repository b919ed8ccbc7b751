// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { probeOverlay } from "../../src/driver/overlay/probe.ts";
import { MEMORY, whyNoTmpfs } from "../support/memory_file_system.ts";
import { isLight, isTrusting, runSuite } from "./scratch_driver.ts";

const noTmpfs = whyNoTmpfs(MEMORY);
const noOverlay = await probeOverlay(tmpdir());

// What takes seconds is done in memory, where it takes fewer.
runSuite({ name: "overlay2", cases: ({ cost }) => cost !== "heavy" || noTmpfs !== undefined }, noOverlay);
runSuite(
  { name: "overlay2 on tmpfs", driver: "overlay2", dir: MEMORY, cases: isTrusting },
  noTmpfs ?? await probeOverlay(MEMORY),
);

for (const mountOptions of ["nodev,noatime", "volatile"]) {
  const options = { "overlay2.mountopt": mountOptions };
  runSuite({ name: `overlay2, ${mountOptions}`, driver: "overlay2", options, cases: isLight }, noOverlay);
}
