// SPDX-License-Identifier: Apache-2.0
/**
 * What an overlay driver can do, by its options and by what this process may.
 *
 * @module
 */
import { mayMount } from "../../host/namespaces/mount_right.ts";
import type { DriverCapabilities } from "../interfaces/driver_spec.ts";
import { ownershipHere } from "../parts/ownership.ts";
import { PROGRAM_LIMITS } from "./mounting/mount_program.ts";
import { LOWERS_MAX } from "./mounting/mount_data.ts";
import type { OverlayOptions } from "./options.ts";

/** Nothing is tried: the kernel's part is told by `probe`. */
export function overlayCapabilities(options: OverlayOptions): DriverCapabilities {
  return {
    mounts: mayMount() ? "yes" : "no",
    readOnlyMounts: "enforced",
    lowersMax: LOWERS_MAX,
    ownership: options.forceMask === undefined ? ownershipHere(options.chownErrors) : "recorded",
    reflink: "no",
    reproducesExactDiffs: "no",
    ...(options.mountProgram === undefined ? {} : PROGRAM_LIMITS),
  };
}
