// SPDX-License-Identifier: Apache-2.0
/**
 * What is mounted where, as the kernel tells this process.
 *
 * Format: proc_pid_mountinfo(5).
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** A mount of this process's mount namespace. */
export interface MountPoint {
  readonly id: number;
  /** Id of the mount that it lies on. */
  readonly parentId: number;
  /** `major:minor` of the file system. */
  readonly dev: string;
  /** Which directory of the file system is mounted. */
  readonly root: string;
  /** Where, relative to this process's root. */
  readonly mountPoint: string;
  /** Options of this mount, such as `ro`. */
  readonly options: readonly string[];
  readonly fsType: string;
  readonly source: string;
  /** Options of the file system, such as overlay's `lowerdir=…`. */
  readonly superOptions: readonly string[];
}

/** All mounts; of several on one place the topmost comes last. */
export function readMountTable(): MountPoint[] {
  return parseMountTable(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** The mount whose root is exactly this absolute path, the topmost if there are several. */
export function mountAt(path: string): MountPoint | undefined {
  return readMountTable().findLast((mount) => mount.mountPoint === path);
}

/** The mount that holds what has this absolute path, which is without symlinks; `undefined` where the table has none. */
export function mountHolding(path: string): MountPoint | undefined {
  const holding = readMountTable().filter(({ mountPoint }) =>
    mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`)
  );
  const deepest = Math.max(...holding.map(({ mountPoint }) => mountPoint.length));
  return holding.findLast(({ mountPoint }) => mountPoint.length === deepest);
}

/** The mounts on this absolute path and below it, deepest last, so that they unmount in reverse order. */
export function mountsBelow(path: string): MountPoint[] {
  const prefix = path === "/" ? "/" : `${path}/`;
  return readMountTable().filter(({ mountPoint }) => mountPoint === path || mountPoint.startsWith(prefix));
}

/** The mounts in a text of the form of `/proc/self/mountinfo`; lines that do not have the form are left out. */
export function parseMountTable(text: string): MountPoint[] {
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountPoint | undefined {
  // A hyphen alone ends the optional fields, of which there can be any number.
  const separator = line.indexOf(" - ");
  if (separator < 0) return undefined;
  const [id, parentId, dev, root, mountPoint, options] = line.slice(0, separator).split(" ");
  const [fsType, source, superOptions] = line.slice(separator + 3).split(" ");
  if (mountPoint === undefined || fsType === undefined || dev === undefined || root === undefined) return undefined;
  return {
    id: Number(id),
    parentId: Number(parentId),
    dev,
    root: unescape(root),
    mountPoint: unescape(mountPoint),
    options: splitOptions(options),
    fsType: unescape(fsType),
    source: unescape(source ?? ""),
    superOptions: splitOptions(superOptions),
  };
}

function splitOptions(field: string | undefined): string[] {
  return field === undefined || field === "" ? [] : field.split(",").map(unescape);
}

/** The kernel writes blank, tab, newline, backslash and `#` as three octal digits. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
