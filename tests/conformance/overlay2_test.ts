// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { probeOverlay } from "../../src/driver/overlay/probe.ts";
import { whyNoTmpfs } from "../support/memory_file_system.ts";
import { runSuite } from "./scratch_driver.ts";

const reason = await probeOverlay(tmpdir());
runSuite("overlay2", reason);
runSuite(
  {
    name: "overlay2 with mount options",
    driver: "overlay2",
    options: { "overlay2.mountopt": "nodev,noatime" },
    cases: "light",
  },
  reason,
);

const dir = "/dev/shm";
const noTmpfs = whyNoTmpfs(dir);
runSuite(
  { name: "overlay2 on tmpfs", driver: "overlay2", dir, cases: "light" },
  noTmpfs ?? await probeOverlay(dir),
);
