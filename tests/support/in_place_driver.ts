// SPDX-License-Identifier: Apache-2.0
/**
 * A driver that cannot rename layers, so that they have their names from when they are sealed.
 *
 * @module
 */
import type { DriverFactory } from "../../mod.ts";
import { completeDriver } from "../../src/driver/naive/complete_driver.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { partsOf } from "./driver_parts.ts";

const factory: DriverFactory = {
  open: (spec) => completeDriver({ ...partsOf(openDriver({ ...spec, name: "vfs" }), {}), spec }),
  probe: () => Promise.resolve(undefined),
};

export default factory;
