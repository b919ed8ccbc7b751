// SPDX-License-Identifier: Apache-2.0
/**
 * Options of the overlay driver and of its mounts.
 *
 * mount(2) copies at most a page of options, less one byte, and cuts the rest off without a word: a stack that lost its
 * last lowers mounts all the same. So the length is checked here, before the mount, and never left to the kernel.
 * All paths are relative to the directory in which mount(8) runs, so that the names of many layers fit.
 *
 * Sources: kernel Documentation/filesystems/overlayfs.rst, mount(2), mount(8).
 *
 * @module
 */
import { parseByteSize } from "../../core/byte_size.ts";
import { StrataError } from "../../core/errors.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { parseForceMask, parseMountProgram } from "./program_options.ts";
import { type ChownErrors, parseChownErrors } from "../parts/ownership.ts";
import { parseInodes, UNLIMITED } from "../parts/quota.ts";
import type { MarkSpace } from "./whiteouts.ts";

/** Bytes of a mount's options: the smallest page of any Linux, less the NUL that ends them. */
export const MOUNT_DATA_BYTES_MAX = 4095;
/** Lowers of one mount: the kernel's OVL_MAX_STACK. */
export const LOWERS_MAX = 500;

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
  /** `naive`: changes are found by comparing mounted trees whole. Absent: the upper directory tells them. */
  readonly diffs?: "naive";
}

/** One overlay mount. Paths are relative to the directory in which mount(8) runs. */
export interface OverlayMount {
  /** Top first. */
  readonly lowers: readonly string[];
  /** Absent: the mount is read-only. */
  readonly upper?: { readonly diff: string; readonly work: string };
  /** Switches that keep what the kernel writes plain, as {@link kernelSwitches} gives them. */
  readonly switches: readonly string[];
  readonly label?: string | undefined;
  /** As {@link parseMountOptions} gives them. */
  readonly extra: readonly string[];
}

/** Options that would change what a layer is, or where it comes from. They are the driver's to choose. */
const RESERVED = new Set([
  "lowerdir",
  "lowerdir+",
  "datadir+",
  "upperdir",
  "workdir",
  "index",
  "redirect_dir",
  "metacopy",
  "nfs_export",
  "userxattr",
  "verity",
  "context",
  "bind",
  "rbind",
  "remount",
]);
/** One option, with what could end it or quote it left out. */
const MOUNT_OPTION = /^[A-Za-z_][A-Za-z0-9_-]*(=[A-Za-z0-9_./:@+-]+)?$/;
const OPTION_NAMES = '"overlay2.mountopt", "overlay2.size", "overlay2.inodes", "overlay2.override_kernel_check", ' +
  '"overlay2.mount_program", "overlay2.force_mask", "overlay2.native_diff" and "overlay2.ignore_chown_errors"';
/** How containers/storage begins the names. */
const OTHER_PREFIX = /^(?:overlay)?\./;
/** A security context: printable, without what would end or change a quoted value. */
const LABEL = /^[ !#-[\]-~]+$/;

/**
 * The driver's options: `overlay2.mountopt`, a comma-separated list for every mount, `overlay2.size` and
 * `overlay2.inodes`, the limits of writable layers, `overlay2.mount_program`, `overlay2.native_diff`, and
 * `overlay2.ignore_chown_errors`; they may begin with `overlay.` or `.` as well.
 * @throws {StrataError} `INVALID_ARGUMENT` for an unknown option
 */
export function parseOverlayOptions(options: Readonly<Record<string, string>>): OverlayOptions {
  let mountOptions: readonly string[] = [];
  let limits: ProjectLimits | undefined;
  let chownErrors: ChownErrors | undefined;
  let mountProgram: string | undefined;
  let forceMask: number | undefined;
  let diffs: OverlayOptions["diffs"];
  for (const [name, value] of Object.entries(options)) {
    switch (name.toLowerCase().replace(OTHER_PREFIX, "overlay2.")) {
      case "overlay2.mountopt":
        mountOptions = parseMountOptions(value === "" ? [] : value.split(","));
        break;
      case "overlay2.override_kernel_check":
        // Docker takes it still, and does not heed it any more.
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
      case "overlay2.size":
        limits = { ...UNLIMITED, ...limits, bytes: parseByteSize(value) };
        break;
      case "overlay2.inodes":
        limits = { ...UNLIMITED, ...limits, inodes: parseInodes(value) };
        break;
      default:
        throw new StrataError(
          "INVALID_ARGUMENT",
          `Cannot use the option "${name}": driver "overlay2" has no such option; it has ${OPTION_NAMES}`,
          { argument: "options" },
        );
    }
  }
  return {
    mountOptions,
    ...(limits === undefined ? {} : { limits }),
    ...(chownErrors === undefined ? {} : { chownErrors }),
    ...(mountProgram === undefined ? {} : { mountProgram }),
    ...(forceMask === undefined ? {} : { forceMask }),
    ...(diffs === undefined ? {} : { diffs }),
  };
}

function parseNativeDiff(name: string, value: string): OverlayOptions["diffs"] {
  if (value === "true") return undefined;
  if (value === "false") return "naive";
  throw new StrataError("INVALID_ARGUMENT", `Cannot use the option "${name}=${value}": give "true" or "false"`, {
    argument: "options",
  });
}

/**
 * Mount options as a user gives them.
 * @throws {StrataError} `INVALID_ARGUMENT` for one that is malformed, or that the driver must choose itself
 */
export function parseMountOptions(options: readonly string[]): readonly string[] {
  for (const option of options) {
    const name = option.split("=", 1)[0] ?? "";
    if (MOUNT_OPTION.test(option) && !RESERVED.has(name)) continue;
    const reason = RESERVED.has(name) ? `"${name}" is the driver's to choose` : "it is malformed";
    throw new StrataError("INVALID_ARGUMENT", `Cannot use the mount option "${option}": ${reason}; leave it out`, {
      argument: "mountOptions",
    });
  }
  return options;
}

/**
 * What turns off the features whose traces in a layer other readers cannot follow: inode indexes, renamed directories
 * that point elsewhere, files of which only the metadata was copied up.
 * @param parameters names below /sys/module/overlay/parameters: an option unknown to the kernel would fail the mount
 */
export function kernelSwitches(parameters: readonly string[], marks: MarkSpace = "trusted"): readonly string[] {
  const switches: string[] = [];
  if (parameters.includes("index")) switches.push("index=off");
  // With "userxattr" the kernel follows no redirects, and refuses to be told so.
  if (marks === "user") switches.push("userxattr");
  // "nofollow" also ignores redirects that a layer brought; kernels know it since the parameter for following exists.
  else if (parameters.includes("redirect_always_follow")) switches.push("redirect_dir=nofollow");
  else if (parameters.includes("redirect_dir")) switches.push("redirect_dir=off");
  if (parameters.includes("metacopy")) switches.push("metacopy=off");
  return switches;
}

/** Whether the mount's options fit into a page. */
export function fitsMountData(mount: OverlayMount): boolean {
  return mountData(mount).length <= MOUNT_DATA_BYTES_MAX;
}

/**
 * The mount's option string.
 * @throws {StrataError} `MAX_DEPTH` when it would not fit, or has more lowers than the kernel takes, `INVALID_ARGUMENT`
 *   for a label that cannot be quoted
 */
export function overlayMountData(mount: OverlayMount): string {
  const { lowers } = mount;
  if (lowers.length > LOWERS_MAX) {
    throw new StrataError(
      "MAX_DEPTH",
      `Cannot mount ${lowers.length} layers: the kernel stacks ${LOWERS_MAX} at most; use fewer layers`,
      { depth: lowers.length, depthMax: LOWERS_MAX },
    );
  }
  const data = mountData(mount);
  if (data.length > MOUNT_DATA_BYTES_MAX) refuseLength(lowers, data.length);
  return data;
}

function mountData({ lowers, upper, switches, extra, label }: OverlayMount): string {
  const fixed = [...switches];
  if (upper !== undefined) fixed.push(`upperdir=${upper.diff}`, `workdir=${upper.work}`);
  fixed.push(...extra);
  if (label !== undefined && label !== "") fixed.push(`context="${checkedLabel(label)}"`);
  return [`lowerdir=${lowers.join(":")}`, ...fixed].join(",");
}

/**
 * A mount label, fit to stand in quotes.
 * @throws {StrataError} `INVALID_ARGUMENT` for any other
 */
export function checkedLabel(label: string): string {
  if (LABEL.test(label)) return label;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the mount label ${
      JSON.stringify(label)
    }: only printable ASCII without quotes and backslashes can be passed on`,
    { argument: "mountLabel" },
  );
}

function refuseLength(lowers: readonly string[], length: number): never {
  let spare = length - MOUNT_DATA_BYTES_MAX;
  let fitting = lowers.length;
  while (fitting > 0 && spare > 0) spare -= (lowers[--fitting]?.length ?? 0) + 1;
  throw new StrataError(
    "MAX_DEPTH",
    `Cannot mount ${lowers.length} layers: the options take ${length} bytes, the kernel reads ${MOUNT_DATA_BYTES_MAX}; ` +
      `${fitting} layers would fit: use fewer layers, or a shorter label and fewer mount options`,
    { depth: lowers.length, depthMax: fitting },
  );
}
