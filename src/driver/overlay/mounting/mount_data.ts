// SPDX-License-Identifier: Apache-2.0
/**
 * The options of one overlay mount.
 *
 * mount(2) copies at most a page of options, less one byte, and cuts the rest off without a word: a stack that lost its
 * last lowers mounts all the same. So the length is checked here, before the mount, and never left to the kernel.
 * All paths are relative to the directory in which mount(8) runs, so that the names of many layers fit.
 *
 * Sources: kernel Documentation/filesystems/overlayfs.rst, mount(2), mount(8).
 *
 * @module
 */
import { StrataError } from "../../../core/errors.ts";
import type { MarkSpace } from "../whiteouts.ts";

/** Bytes of a mount's options: the smallest page of any Linux, less the NUL that ends them. */
export const MOUNT_DATA_BYTES_MAX = 4095;
/** Lowers of one mount: the kernel's OVL_MAX_STACK. */
export const LOWERS_MAX = 500;

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
/** A security context: printable, without what would end or change a quoted value. */
const LABEL = /^[ !#-[\]-~]+$/;

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
 *   for a label that cannot be quoted, and for options that leave room for no layer
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
  if (fitting === 0) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot mount any layer with these options: they take ${length} bytes, the kernel reads ${MOUNT_DATA_BYTES_MAX}; use ` +
        "a shorter label, or fewer mount options",
      { argument: "mountOptions" },
    );
  }
  throw new StrataError(
    "MAX_DEPTH",
    `Cannot mount ${lowers.length} layers: the options take ${length} bytes, the kernel reads ${MOUNT_DATA_BYTES_MAX}; ` +
      `${fitting} layers would fit: use fewer layers, or a shorter label and fewer mount options`,
    { depth: lowers.length, depthMax: fitting },
  );
}
