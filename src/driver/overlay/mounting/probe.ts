// SPDX-License-Identifier: Apache-2.0
/**
 * What the kernel and the file system below the driver's home can do, found out by doing it.
 *
 * @module
 */
import { randomId } from "../../../core/ids.ts";
import {
  ensureDir,
  listNames,
  nearestDirectory,
  pathExists,
  realPath,
  removeTreeAt,
  statPath,
} from "../../../host/files.ts";
import { hasErrno } from "../../../host/errno.ts";
import { getFsMagic } from "../../../host/fs_info.ts";
import { fileSystemName } from "../../../host/fs_magic.ts";
import { mayMount } from "../../../host/namespaces/mount_right.ts";
import { unmountBelow } from "../../parts/mounting.ts";
import type { DriverSpec } from "../../interfaces/driver_spec.ts";
import type { StatusRow } from "../../interfaces/proto_driver.ts";
import { type BackingRefusal, backingRefusal } from "./backing.ts";
import { findMountProgram, mountByProgram, programMountData } from "./mount_program.ts";
import { kernelSwitches } from "./mount_data.ts";
import { type OverlayOptions, parseOverlayOptions } from "../options.ts";
import { byKernel, type OverlayTraits, type TrialMount, tryOverlay } from "./trial.ts";
import { currentMarks } from "../whiteouts.ts";

/** Begins the names of the directories in which things are tried. */
export const PROBE_PREFIX = ".overlay-probe-";

const PARAMETERS = "/sys/module/overlay/parameters";

/** What was found, by file system and mount program. None of it changes while this process runs. */
const known = new Map<string, OverlayTraits>();

/** Why overlay layers cannot be kept and mounted in this home, as a clause; `undefined` when they can. */
export async function probeOverlay(home: string, mountProgram?: string): Promise<string | undefined> {
  if (!mayMount()) {
    return 'only root may mount overlays; run as root or in a user namespace of your own, or use driver "vfs"';
  }
  const place = realPath(nearestDirectory(home));
  const dir = `${place}/${PROBE_PREFIX}${randomId()}`;
  try {
    ensureDir(dir, 0o700);
    const by = mountProgram === undefined
      ? { mounter: "kernel", mountBy: byKernel(currentSwitches()) } as const
      : { mounter: "program", mountBy: byProgram(mountProgram) } as const;
    const outcome = await tryOverlay({ dir, marks: currentMarks(), ...by });
    if (typeof outcome === "string") return outcome;
    known.set(keyOf(place, mountProgram), outcome);
    return undefined;
  } catch (error) {
    // Where nothing can be written, nothing can be tried; layers can still be read there, and removed from a full disk.
    if (hasErrno(error, "ENOSPC", "EDQUOT", "EROFS")) return undefined;
    return error instanceof Error ? error.message : String(error);
  } finally {
    await unmountBelow(dir);
    if (pathExists(dir)) removeTreeAt(dir);
  }
}

/** Why the driver cannot work in this home with these options; `undefined` when it can. */
export async function probeWith(
  home: string,
  options: DriverSpec["options"],
): Promise<string | BackingRefusal | undefined> {
  const { mountProgram, diffs } = parseOverlayOptions(options);
  const refusal = mountProgram === undefined ? backingRefusal(fileSystemName(getFsMagic(home))) : undefined;
  const reason = refusal ?? await probeOverlay(home, mountProgram);
  if (reason !== undefined || mountProgram !== undefined || diffs === "naive") return reason;
  return nativeDiffRefusal(home);
}

/**
 * Options with which the driver works all the same: changes are found by comparing trees where the kernel leaves them out of
 * upper directories, and a program mounts where the kernel cannot.
 */
export async function optionsInstead(
  home: string,
  options: DriverSpec["options"],
): Promise<DriverSpec["options"] | undefined> {
  if (nativeDiffRefusal(home) !== undefined) return { ...options, "overlay2.native_diff": "false" };
  return await mountProgramInstead(home, options);
}

function nativeDiffRefusal(home: string): string | undefined {
  return known.get(keyOf(home))?.nativeDiffRefusal;
}

/**
 * The options by which a program mounts where the kernel's overlayfs cannot: below a home on another overlay, for one.
 * `undefined` where there is no such program, or where it cannot either.
 */
async function mountProgramInstead(
  home: string,
  options: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>> | undefined> {
  if (parseOverlayOptions(options).mountProgram !== undefined) return undefined;
  const program = findMountProgram();
  if (program === undefined || await probeOverlay(home, program) !== undefined) return undefined;
  return { ...options, "overlay2.mount_program": program };
}

function byProgram(program: string): TrialMount {
  return async ({ cwd, target, ...overlay }) => {
    await mountByProgram({ program, cwd, target, options: programMountData(overlay) });
  };
}

/** The mount options that keep layers plain, as far as this kernel has them. Loads the kernel's module if need be. */
export async function switchesFor(home: string): Promise<readonly string[]> {
  if (!pathExists(PARAMETERS)) await probeOverlay(home);
  return currentSwitches();
}

/** What has been tried in this home, as lines for `info`. */
export function traitRows(
  home: string,
  { mountProgram, diffs }: Pick<OverlayOptions, "mountProgram" | "diffs">,
): readonly StatusRow[] {
  const traits = known.get(keyOf(home, mountProgram));
  return [
    ["Supports d_type", trueFor(traits?.directoryTypes)],
    ["Using metacopy", trueFor(traits?.metacopy)],
    ["Native Overlay Diff", trueFor(diffs === "naive" ? "no" : traits && "yes")],
    ["userxattr", String(currentMarks() === "user")],
    ["Supports volatile", trueFor(traits?.volatile)],
  ];
}

function trueFor(trait: "yes" | "no" | undefined): string {
  return trait === undefined ? "unknown" : String(trait === "yes");
}

function keyOf(path: string, mountProgram = ""): string {
  return `${statPath(nearestDirectory(path))?.dev} ${mountProgram}`;
}

function currentSwitches(): readonly string[] {
  return pathExists(PARAMETERS) ? kernelSwitches(listNames(PARAMETERS), currentMarks()) : [];
}
