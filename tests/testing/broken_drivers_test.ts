// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { driverCases } from "../../src/testing/driver_suite.ts";
import { withScratchDriver } from "../conformance/scratch_driver.ts";
import { brokenDrivers } from "./broken_drivers.ts";

const noOverlay = await probeOverlay(tmpdir());

for (const { fault, foundBy, needs, open } of brokenDrivers) {
  const skip = needs === "overlay" ? noOverlay ?? false : false;
  test(`the suite finds out a driver that ${fault}`, { skip }, async () => {
    const found = driverCases.find(({ name }) => name === foundBy);
    if (found === undefined) throw new Error(`There is no case "${foundBy}"`);
    await withScratchDriver({ name: "broken", open }, async (context) => {
      await assert.rejects(async () => await found.run(context), (error) => !(error instanceof ReferenceError));
    });
  });
}
