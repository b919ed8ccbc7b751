// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { probeOverlay } from "../../src/driver/overlay/probe.ts";
import { runSuite } from "./scratch_driver.ts";

runSuite("overlay2", await probeOverlay(tmpdir()));
