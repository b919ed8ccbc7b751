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

/**
 * What fuse-overlayfs 1.10 itself cannot do, since its mounts are looked into. What layers tell without a mount,
 * `force_mask_test.ts` of the driver has.
 */
const WITHOUT = [
  // It reads owner and mode of an attribute, and not the type: pipes and devices show as files.
  "pipes are kept",
  "device nodes are kept",
  "owners are kept, also of symlinks and directories",
  "times are kept to the nanosecond, also before 1970 and of symlinks",
  "every kind of object takes the place of every other in a layer",
  "every kind of object comes back in a third layer, and nothing of the second shows",
  "hostile: a fifo and a device where a directory was",
  "a copy of a layer keeps owners, setuid, devices, pipes and privileged attributes",
  // It forgets owner and mode of a directory that it copies up.
  "a directory's mode is the last layer's",
  "other owners change nothing else of a layer, and no layer below",
  // It forgets the owner when it changes the mode.
  "snapshots: an owner changed reaches the next, and not the one below",
];

runSuite(
  {
    name: "overlay2 with force_mask",
    runtimes: "deno",
    driver: "overlay2",
    options: { "overlay2.mount_program": program ?? "", "overlay2.force_mask": "shared" },
    label: ",a",
    cases: isQuick,
    without: WITHOUT,
  },
  unlessMissing(reason).skip || undefined,
);
