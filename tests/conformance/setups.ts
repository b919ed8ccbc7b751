// SPDX-License-Identifier: Apache-2.0
/**
 * The drivers with each set of their options, as the suite is run on them: on the disk by the tests beside this file, and
 * on other file systems by `tests/interop/file_systems/`.
 *
 * @module
 */
import type { Driver } from "../../src/driver/driver.ts";
import { completeDriver } from "../../src/driver/naive/complete_driver.ts";
import { findMountProgram } from "../../src/driver/overlay/mounting/mount_program.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import type { ProtoDriver } from "../../src/driver/interfaces/proto_driver.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { partsOf } from "../support/driver_parts.ts";
import type { Setup } from "./scratch_driver.ts";

const program = findMountProgram();
/** Mounts by fuse-overlayfs where there is one. */
const PROGRAM = { "overlay2.mount_program": program ?? "" };

/** overlay2 with each set of mount options. */
export const WITH_MOUNT_OPTIONS: readonly Setup[] = ["nodev,noatime", "volatile"].map((mountOptions) => ({
  name: `overlay2, ${mountOptions}`,
  driver: "overlay2",
  options: { "overlay2.mountopt": mountOptions },
}));

/** overlay2 that compares whole trees. */
export const NAIVE_DIFFS: Setup = {
  name: "overlay2, native_diff=false",
  driver: "overlay2",
  options: { "overlay2.native_diff": "false" },
};

/** overlay2 by the mount program, which itself splits an upper directory's path at colons. */
export const FUSE_OVERLAYFS: Setup = { name: "fuse-overlayfs", driver: "overlay2", options: PROGRAM, label: ",a" };

/** The same with `force_mask`. */
export const FORCE_MASK: Setup = {
  name: "overlay2 with force_mask",
  driver: "overlay2",
  options: { ...PROGRAM, "overlay2.force_mask": "shared" },
  label: ",a",
  // What fuse-overlayfs 1.10 itself cannot do, since its mounts are looked into. What layers tell without a mount,
  // `force_mask_test.ts` of the driver has.
  without: [
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
  ],
};

/** Why there is no fuse-overlayfs; `undefined` when there is. */
export const NO_PROGRAM: string | undefined = program === undefined
  ? "fuse-overlayfs is not installed, or /dev/fuse is not there"
  : undefined;

/** Why fuse-overlayfs cannot mount layers of a directory; `undefined` when it can. */
export async function whyNoProgram(dir: string): Promise<string | undefined> {
  return NO_PROGRAM ?? await probeOverlay(dir, program);
}

/** A driver of which only what a proto driver must have is used: all else is made by `completeDriver`. */
export function naiveOn(driver: "overlay2" | "vfs"): Setup {
  return {
    name: `naive on ${driver}`,
    driver,
    without: driver === "overlay2" ? NOT_NAIVE_ON_OVERLAY2 : [],
    open: (spec) => completeDriver(protoOf(openDriver(spec))),
  };
}

const NOT_NAIVE_ON_OVERLAY2 = [
  // The layers of overlay2 know those below by links, and a proto driver makes no layer under an old one's link.
  "a layer that is made again takes its old place, and layers above find it",
  // To look into the writable layer on 500 others it is mounted read-only, as one layer of 501: "the kernel stacks 500 at most".
  "a stack of 500 layers, or of as many as can be mounted, is written upon; a deeper one is refused",
];

/** A layer made through `create` can be written to where `get` gives it, unless another lies on it. */
function protoOf(driver: Driver): ProtoDriver {
  return partsOf(driver, { capabilities: { ...driver.capabilities, readOnlyMounts: "trusted" } });
}
