// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { driverCases } from "../../src/testing/driver_suite.ts";
import { withScratchDriver } from "../conformance/scratch_driver.ts";
import { IS_ROOT } from "../host/scratch.ts";
import { brokenAnswers } from "./broken_answers.ts";
import { brokenDrivers } from "./broken_drivers.ts";
import { brokenCopiers } from "./broken_copiers.ts";
import { brokenMappers } from "./broken_mappers.ts";

const lacking = {
  overlay: await probeOverlay(tmpdir()),
  root: IS_ROOT ? undefined : "only root may give files away",
};

for (
  const { fault, foundBy, needs, open } of [...brokenDrivers, ...brokenAnswers, ...brokenCopiers, ...brokenMappers]
) {
  const skip = needs === undefined ? false : lacking[needs] ?? false;
  test(`the suite finds out a driver that ${fault}`, { skip }, async () => {
    const found = driverCases.find(({ name }) => name === foundBy);
    if (found === undefined) throw new Error(`There is no case "${foundBy}"`);
    await withScratchDriver({ name: "broken", open }, async (context) => {
      await assert.rejects(async () => await found.run(context), (error) => !(error instanceof ReferenceError));
    });
  });
}
