// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { findMountProgram } from "../../src/driver/overlay/mounting/mount_program.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { unlessMissing } from "../support/interop.ts";
import { isQuick, runSuite } from "./scratch_driver.ts";

const program = findMountProgram();
const reason = program === undefined
  ? "fuse-overlayfs is not installed, or /dev/fuse is not there"
  : await probeOverlay(tmpdir(), program);

runSuite(
  // fuse-overlayfs itself splits an upper directory's path at colons.
  {
    name: "fuse-overlayfs",
    driver: "overlay2",
    options: { "overlay2.mount_program": program ?? "" },
    label: ",a",
    cases: isQuick,
  },
  unlessMissing(reason).skip || undefined,
);
