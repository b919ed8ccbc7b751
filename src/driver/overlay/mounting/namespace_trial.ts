// SPDX-License-Identifier: Apache-2.0
/**
 * Whether overlays can be mounted in a user namespace of this user, found out by mounting one there.
 *
 * The place is a directory of its own, beside what is to become the store's root or above it, since the root is not there
 * yet. A lock in it tells whether the one who tries is alive: who is killed leaves it, and gc finds it.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { randomId } from "../../../core/ids.ts";
import { runCommand } from "../../../host/command.ts";
import { isLocked, tryLock } from "../../../host/file_lock.ts";
import {
  ensureDir,
  listNames,
  nearestDirectory,
  pathExists,
  realPath,
  removeTreeAt,
  statPath,
} from "../../../host/files.ts";
import { namespaceRefusal } from "../../../host/namespaces/namespace_refusal.ts";
import { effectiveUser } from "../../../host/process.ts";
import { findMountProgram } from "./mount_program.ts";

/** The directory of a trial that nobody is at any more. */
export interface LeftTrial {
  /** Absolute path. */
  readonly path: string;
  /** When it was last changed. Milliseconds since 1970. */
  readonly modifiedMs: number;
}

const PREFIX = ".strata-trial-";
const NAME = /^\.strata-trial-[0-9a-f]{64}$/;
const NAMES = ["lower", "upper", "work", "merged"];
const DIRS = "lowerdir=lower,upperdir=upper,workdir=work";
/** By the kernel, or else by the program that is given. What the kernel makes in `work` can be removed inside only. */
const TRIAL = `{ mount -i -t overlay -o userxattr,${DIRS} overlay merged || "\${1:-false}" -o ${DIRS} merged; } &&
  umount merged && rm -rf work`;
const TIMEOUT_MS = 10_000;

/** Why overlays on this root's file system cannot be mounted in a user namespace; `undefined` when they can. */
export async function overlayRefusal(root: string): Promise<string | undefined> {
  const refusal = await namespaceRefusal();
  if (refusal !== undefined) return `${refusal.reason}; ${refusal.remedy}`;
  let dir: string | undefined;
  try {
    dir = `${realPath(nearestDirectory(root))}/${PREFIX}${randomId()}`;
    ensureDir(dir, 0o700);
    using _lock = tryLock(lockOf(dir), "exclusive");
    for (const name of NAMES) ensureDir(`${dir}/${name}`, 0o700);
    return await tryMount(dir);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    if (dir !== undefined && pathExists(dir)) removeTreeAt(dir);
  }
}

/** This user's trials for a root, or one above it, whose processes have ended. Just made, one may have no lock yet. */
export function findLeftTrials(root: string): LeftTrial[] {
  return ancestorsOf(realPath(nearestDirectory(root))).flatMap((dir) =>
    namesIn(dir).filter((name) => NAME.test(name)).flatMap((name) => leftTrialAt(join(dir, name)))
  );
}

/**
 * Removes what {@link findLeftTrials} found, unless somebody has come to be at it.
 * @throws {OsError}
 */
export function removeLeftTrial(path: string): "removed" | "live" {
  if (!pathExists(path)) return "removed";
  using lock = tryLock(lockOf(path), "exclusive");
  if (lock === undefined) return "live";
  removeTreeAt(path);
  return "removed";
}

async function tryMount(cwd: string): Promise<string | undefined> {
  const script = ["sh", "-c", TRIAL, "sh", findMountProgram() ?? ""];
  const args = ["--user", "--map-root-user", "--mount", "--", ...script];
  const { code, stderr } = await runCommand("unshare", args, { cwd, timeoutMs: TIMEOUT_MS });
  return code === 0 ? undefined : stderr.trim();
}

function leftTrialAt(path: string): LeftTrial[] {
  const stat = statPath(path);
  if (stat?.type !== "dir" || stat.uid !== effectiveUser() || isLocked(lockOf(path))) return [];
  return [{ path, modifiedMs: stat.mtime.sec * 1000 + Math.floor(stat.mtime.nsec / 1e6) }];
}

function lockOf(dir: string): string {
  return `${dir}/lock`;
}

/** A directory and all above it. */
function ancestorsOf(dir: string): string[] {
  return dir === "/" ? [dir] : [dir, ...ancestorsOf(dirname(dir))];
}

/** Nothing where this user may not look, or nobody can: what lies above a store is not the store's trouble. */
function namesIn(dir: string): readonly string[] {
  try {
    return listNames(dir);
  } catch {
    return [];
  }
}
