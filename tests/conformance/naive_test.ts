// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { isQuick, runSuite } from "./scratch_driver.ts";
import { naiveOn } from "./setups.ts";

runSuite({ ...naiveOn("vfs"), cases: isQuick }, undefined);
runSuite({ ...naiveOn("overlay2"), cases: isQuick, runtimes: "deno" }, await probeOverlay(tmpdir()));
