// SPDX-License-Identifier: Apache-2.0
/**
 * The drivers' suite on file systems that a machine for development may not have: each in an image of its own.
 *
 * @module
 */
import { test } from "node:test";
import { runSuiteWithin } from "../conformance/scratch_driver.ts";
import { type ImageFileSystem, mountLoop, needsLoop } from "../support/loop_file_system.ts";

const FILE_SYSTEMS: readonly ImageFileSystem[] = ["xfs", "btrfs", "ext4"];

for (const type of FILE_SYSTEMS) {
  const options = needsLoop(type);
  for (const driver of ["overlay2", "vfs"]) {
    test(`${driver} on ${type}`, options, async (t) => {
      using fileSystem = mountLoop(type);
      await runSuiteWithin(t, { name: `${driver} on ${type}`, driver, dir: fileSystem.path, cases: "light" });
    });
  }
}
