// SPDX-License-Identifier: Apache-2.0
/**
 * Options of the overlay driver. Their names are those of Docker and of containers/storage.
 *
 * @module
 */
import { parseByteSize } from "../../core/byte_size.ts";
import { StrataError } from "../../core/errors.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { parseForceMask, parseMountProgram } from "./program_options.ts";
import { refuseImageStores } from "../parts/image_stores.ts";
import { type ChownErrors, parseChownErrors } from "../parts/ownership.ts";
import { parseInodes, UNLIMITED } from "../parts/quota.ts";
import { parseMountOptions } from "./mounting/mount_data.ts";
import { type AdditionalLayerStore, parseLayerStores } from "./outside/layer_stores.ts";

/** What the user asked of all mounts of this driver. */
export interface OverlayOptions {
  readonly mountOptions: readonly string[];
  /** What a writable layer may use that asks for nothing else. */
  readonly limits?: ProjectLimits;
  /** Absolute path of the program that mounts in place of the kernel. */
  readonly mountProgram?: string;
  /** The mode of all files and directories of layers; attributes tell what they are. */
  readonly forceMask?: number;
  /** Absent: as this process's user namespace suggests. */
  readonly chownErrors?: ChownErrors;
  /** Where layers are looked for that need not be fetched. Absent: nowhere. */
  readonly additionalLayerStores?: readonly AdditionalLayerStore[];
  /** `naive`: changes are found by comparing mounted trees whole. Absent: the upper directory tells them. */
  readonly diffs?: "naive";
}

const OPTION_NAMES =
  '"overlay2.mountopt", "overlay2.size", "overlay2.inodes", "overlay2.override_kernel_check", "overlay2.skip_mount_home", ' +
  '"overlay2.mount_program", "overlay2.force_mask", "overlay2.native_diff", "overlay2.additionallayerstore" and ' +
  '"overlay2.ignore_chown_errors"';
/** How containers/storage begins the names. */
const OTHER_PREFIX = /^(?:overlay)?\./;

/**
 * The driver's options: `overlay2.mountopt`, a comma-separated list for every mount, `overlay2.size` and
 * `overlay2.inodes`, the limits of writable layers, `overlay2.mount_program`, `overlay2.native_diff`,
 * `overlay2.additionallayerstore`, and `overlay2.ignore_chown_errors`; they may begin with `overlay.` or `.` as well.
 * @throws {StrataError} `INVALID_ARGUMENT` for an unknown option
 */
export function parseOverlayOptions(options: Readonly<Record<string, string>>): OverlayOptions {
  let mountOptions: readonly string[] = [];
  let limits: ProjectLimits | undefined;
  let chownErrors: ChownErrors | undefined;
  let mountProgram: string | undefined;
  let forceMask: number | undefined;
  let additionalLayerStores: readonly AdditionalLayerStore[] = [];
  let diffs: OverlayOptions["diffs"];
  for (const [name, value] of Object.entries(options)) {
    switch (name.toLowerCase().replace(OTHER_PREFIX, "overlay2.")) {
      case "overlay2.mountopt":
        mountOptions = parseMountOptions(value === "" ? [] : value.split(","));
        break;
      case "overlay2.override_kernel_check":
        // Docker takes it still, and does not heed it any more.
        break;
      case "overlay2.skip_mount_home":
        // containers/storage mounts the home upon itself without it. Here that is never done.
        break;
      case "overlay2.ignore_chown_errors":
        chownErrors = parseChownErrors(name, value);
        break;
      case "overlay2.mount_program":
        mountProgram = parseMountProgram(value);
        break;
      case "overlay2.force_mask":
        forceMask = parseForceMask(value);
        break;
      case "overlay2.native_diff":
        diffs = parseNativeDiff(name, value);
        break;
      case "overlay2.additionallayerstore":
        additionalLayerStores = parseLayerStores(name, value);
        break;
      case "overlay2.size":
        limits = { ...UNLIMITED, ...limits, bytes: parseByteSize(value) };
        break;
      case "overlay2.inodes":
        limits = { ...UNLIMITED, ...limits, inodes: parseInodes(value) };
        break;
      case "overlay2.imagestore":
      case "overlay2.additionalimagestore":
        refuseImageStores(name, value);
        break;
      default:
        refuseOption(name);
    }
  }
  return {
    mountOptions,
    ...(limits === undefined ? {} : { limits }),
    ...(chownErrors === undefined ? {} : { chownErrors }),
    ...(mountProgram === undefined ? {} : { mountProgram }),
    ...(forceMask === undefined ? {} : { forceMask }),
    ...(additionalLayerStores.length === 0 ? {} : { additionalLayerStores }),
    ...(diffs === undefined ? {} : { diffs }),
  };
}

function refuseOption(name: string): never {
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the option "${name}": driver "overlay2" has no such option; it has ${OPTION_NAMES}`,
    { argument: "options" },
  );
}

function parseNativeDiff(name: string, value: string): OverlayOptions["diffs"] {
  if (value === "true") return undefined;
  if (value === "false") return "naive";
  throw new StrataError("INVALID_ARGUMENT", `Cannot use the option "${name}=${value}": give "true" or "false"`, {
    argument: "options",
  });
}
