// SPDX-License-Identifier: Apache-2.0
/**
 * What the drivers' suite asks of limits, where they can be kept. Kernels without are nobody's fault, so these tests are
 * skipped there whatever is required; `quota_kernel_test.ts` has them in a kernel that can.
 *
 * @module
 */
import { test } from "node:test";
import type { DriverCase } from "../../../src/testing/driver_suite.ts";
import { runSuiteWithin } from "../../conformance/scratch_driver.ts";
import { type ImageFileSystem, type LoopOptions, mountLoop, whyNoLoop } from "../../support/loop_file_system.ts";

const WITH_QUOTA: readonly (readonly [ImageFileSystem, LoopOptions])[] = [
  ["xfs", { mount: ["pquota"] }],
  ["ext4", { mkfs: ["-O", "quota,project", "-E", "quotatype=prjquota"], mount: ["prjquota"] }],
];

for (const [type, options] of WITH_QUOTA) {
  const skip = whyNoLoop(type, options) ?? false;
  for (const name of ["overlay2", "vfs"]) {
    test(`${name} on ${type} with project quotas`, { skip }, async (t) => {
      using fileSystem = mountLoop(type, options);
      await runSuiteWithin(t, { name, dir: fileSystem.path, cases: isAboutLimits });
    });
  }
}

function isAboutLimits({ name }: DriverCase): boolean {
  return name.includes("size limit");
}
