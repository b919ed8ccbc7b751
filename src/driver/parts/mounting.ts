// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting and unmounting by mount(8) and umount(8), as argument vectors. Paths are without symlinks, since the kernel's
 * table of mounts names them so.
 *
 * @module
 */
import { resolve } from "node:path";
import { StrataError } from "../../core/errors.ts";
import { findProgram, runCommand } from "../../host/command.ts";
import { realPath } from "../../host/files.ts";
import { mountAt, mountHolding, type MountPoint, mountsBelow } from "../../host/mount_table.ts";
import { inUserNamespace } from "../../host/namespaces/user_namespace.ts";

/** One mount. Paths are relative to `cwd` and do not begin with a dash. */
export interface MountRequest {
  readonly cwd: string;
  /** File system type, or `bind`. */
  readonly type: "overlay" | "bind";
  readonly source: string;
  readonly target: string;
  readonly options: string;
}

const TIMEOUT_MS = 60_000;
/** mount(8) from 2.39 on passes options one by one, 256 bytes each at most, which a list of lowers exceeds. */
const CLASSIC_MOUNT = { LIBMOUNT_FORCE_MOUNT2: "always" };
/** Mounts of one place upon each other. More are no accident any more. */
const STACKED_MAX = 16;
/** Whoever mounted by FUSE without being root may unmount by these only, which are setuid root. */
const FUSE_WAYS = [["fusermount3", "-u"], ["fusermount", "-u"]] as const;
/** Flags that mount(8) would clear; those about times of access stay as they are. */
const LOCKED = new Set(["nosuid", "nodev", "noexec"]);
/** The second is for what is busy. */
const UNMOUNT_WAYS = [["umount"], ["umount", "-l"]] as const;

/**
 * Mounts. No helper program of the file system's is run.
 * @throws {StrataError} `NOT_PERMITTED` without the right to mount, `IO` for every other refusal
 */
export async function mount(request: MountRequest): Promise<void> {
  const isBind = request.type === "bind";
  const kind = isBind ? ["--bind"] : ["-t", request.type];
  const options = isBind ? [...lockedFlags(request), request.options].join() : request.options;
  const args = ["-i", ...kind, "-o", options, "--", request.source, request.target];
  const { code, stderr } = await runCommand("mount", args, {
    cwd: request.cwd,
    env: CLASSIC_MOUNT,
    timeoutMs: TIMEOUT_MS,
  });
  if (code === 0) return;
  const path = `${request.cwd}/${request.target}`;
  // mount(8) binds first and makes it read-only then: what is between the two must not stay.
  if (isBind) await unmount(path);
  const message = `Cannot mount "${path}": ${firstLine(stderr)}; the kernel's log may say more`;
  if (/permission denied|must be superuser/i.test(stderr)) throw new StrataError("NOT_PERMITTED", message, { path });
  throw new StrataError("IO", message, { syscall: "mount", path });
}

/**
 * Unmounts whatever is mounted at a path. What is busy disappears from the tree at once and ends with its last user.
 * @throws {StrataError} `IO` when it stays mounted
 */
export async function unmount(path: string): Promise<void> {
  let tries = 0;
  for (let mounted = mountAt(path); mounted !== undefined; mounted = mountAt(path)) {
    const refusal = await unmountTopmost(mounted);
    if (refusal === undefined && tries++ < STACKED_MAX) continue;
    throw new StrataError("IO", `Cannot unmount "${path}": ${refusal ?? "it is mounted again and again"}`, {
      syscall: "umount",
      path,
    });
  }
}

/**
 * Unmounts all that is mounted at or below a path, the deepest first; returns where that was.
 * @throws {StrataError} `IO` when something stays mounted
 */
export async function unmountBelow(path: string): Promise<readonly string[]> {
  const places = mountsBelow(path).reverse().map(({ mountPoint }) => mountPoint);
  for (const place of places) await unmount(place);
  return places;
}

/**
 * What a bind mount in a user namespace must have of the mount that it is taken from: there the kernel refuses to give up
 * flags that were set outside. mount_namespaces(7), "Restrictions on mount namespaces".
 */
function lockedFlags({ cwd, source }: MountRequest): readonly string[] {
  if (!inUserNamespace()) return [];
  const flags = mountHolding(realPath(resolve(cwd, source)))?.options ?? [];
  return flags.filter((flag) => LOCKED.has(flag));
}

/** Tries one way after the other; gives what the last of them says when none succeeds. */
async function unmountTopmost({ mountPoint, fsType }: MountPoint): Promise<string | undefined> {
  const ways = fsType.startsWith("fuse") ? [...FUSE_WAYS, ...UNMOUNT_WAYS] : UNMOUNT_WAYS;
  let refusal = "no program to unmount by is installed";
  for (const [program, ...args] of ways) {
    if (findProgram(program) === undefined) continue;
    const { code, stderr } = await runCommand(program, [...args, "--", mountPoint], { timeoutMs: TIMEOUT_MS });
    if (code === 0) return undefined;
    refusal = `${firstLine(stderr)}; end what uses it`;
  }
  return refusal;
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
