// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers of which only what a proto driver must have is used: all else is made by `completeDriver`.
 *
 * @module
 */
import { tmpdir } from "node:os";
import type { Driver } from "../../src/driver/driver.ts";
import { completeDriver } from "../../src/driver/naive/complete_driver.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import type { ProtoDriver } from "../../src/driver/interfaces/proto_driver.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { partsOf } from "../support/driver_parts.ts";
import { isLight, runSuite, type Setup } from "./scratch_driver.ts";

runSuite(naive("vfs"), undefined);
runSuite({ ...naive("overlay2"), runtimes: "deno" }, await probeOverlay(tmpdir()));

function naive(driver: string): Setup {
  return {
    name: `naive on ${driver}`,
    driver,
    cases: isLight,
    // The layers of overlay2 know those below by links, and a proto driver makes no layer under an old one's link.
    without: driver === "overlay2" ? ["a layer that is made again takes its old place, and layers above find it"] : [],
    open: (spec) => completeDriver(protoOf(openDriver(spec))),
  };
}

/** A layer made through `create` can be written to where `get` gives it, unless another lies on it. */
function protoOf(driver: Driver): ProtoDriver {
  return partsOf(driver, { capabilities: { ...driver.capabilities, readOnlyMounts: "trusted" } });
}
