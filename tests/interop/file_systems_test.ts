// SPDX-License-Identifier: Apache-2.0
/**
 * The drivers' suite on file systems that a machine for development may not have: each in an image of its own.
 *
 * @module
 */
import { test } from "node:test";
import { findMountProgram } from "../../src/driver/overlay/mounting/mount_program.ts";
import type { DriverCase } from "../../src/testing/driver_suite.ts";
import { isQuick, runSuiteWithin } from "../conformance/scratch_driver.ts";
import { unlessMissing } from "../support/interop.ts";
import {
  type ImageFileSystem,
  type LoopOptions,
  mountLoop,
  needsLoop,
  whyNoLoop,
} from "../support/loop_file_system.ts";
import { mountOverlay, whyNoOverlay } from "../support/overlay_file_system.ts";

const program = findMountProgram();
const whyNoProgram = program === undefined ? "fuse-overlayfs is not installed, or /dev/fuse is not there" : undefined;

const FILE_SYSTEMS: readonly ImageFileSystem[] = ["xfs", "btrfs", "ext4"];
/** Where limits can be kept. Kernels without are nobody's fault, so these are skipped whatever is required. */
const WITH_QUOTA: readonly (readonly [ImageFileSystem, LoopOptions])[] = [
  ["xfs", { mount: ["pquota"] }],
  ["ext4", { mkfs: ["-O", "quota,project", "-E", "quotatype=prjquota"], mount: ["prjquota"] }],
];

test("overlay2 by fuse-overlayfs on overlayfs", unlessMissing(whyNoOverlay() ?? whyNoProgram), async (t) => {
  using overlay = mountOverlay();
  await runSuiteWithin(t, {
    name: "overlay2",
    options: { "overlay2.mount_program": program ?? "" },
    label: ",a",
    dir: overlay.path,
    cases: isQuick,
    // Names are hidden by files there, whose names are longer.
    without: ["names of 255 bytes that are not UTF-8 are kept, and hidden by whiteouts"],
  });
});

for (const driver of ["overlay2", "vfs"]) {
  for (const type of FILE_SYSTEMS) {
    test(`${driver} on ${type}`, needsLoop(type), async (t) => {
      using fileSystem = mountLoop(type);
      await runSuiteWithin(t, { name: driver, dir: fileSystem.path, cases: isQuick });
    });
  }
  for (const [type, options] of WITH_QUOTA) {
    test(`${driver} on ${type} with project quotas`, { skip: whyNoLoop(type, options) ?? false }, async (t) => {
      using fileSystem = mountLoop(type, options);
      const cases = ({ name }: DriverCase) => name.includes("size limit");
      await runSuiteWithin(t, { name: driver, dir: fileSystem.path, cases });
    });
  }
}
