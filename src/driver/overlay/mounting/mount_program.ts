// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting by a program in place of the kernel's overlayfs: fuse-overlayfs, or another with its command line.
 *
 * `<program> -o lowerdir=…,upperdir=…,workdir=… <target>` runs in the driver's home, so that all paths are short. It puts
 * itself into the background once it serves, which is a moment before or after the mount shows: the tree is given out when
 * the kernel's table of mounts has it, and what a program leaves that failed or hangs is unmounted.
 *
 * Sources: fuse-overlayfs(1); the options' names and the fallback are those of containers/storage.
 *
 * @module
 */
import { isStrataError, StrataError } from "../../../core/errors.ts";
import { findProgram, runCommand } from "../../../host/command.ts";
import { opensForWriting } from "../../../host/files.ts";
import { mountAt } from "../../../host/mount_table.ts";
import { unmount } from "../../parts/mounting.ts";
import { checkedLabel, type OverlayMount } from "./mount_data.ts";

/** One mount by a program. */
export interface ProgramMount {
  /** Absolute path. */
  readonly program: string;
  /** The driver's home, in which the program runs. */
  readonly cwd: string;
  /** Relative to `cwd`. */
  readonly target: string;
  /** As {@link programMountData} gives them. */
  readonly options: string;
  /** Milliseconds until the program must have mounted. */
  readonly timeoutMs?: number;
  /** Ends the program, and what it has mounted. */
  readonly signal?: AbortSignal;
}

/** What fuse-overlayfs cannot do in writable layers: it may need a file `.wh.<name>`, and copies holes up as zeros. */
export const PROGRAM_LIMITS = { removableNameBytesMax: 251, holes: "filled" } as const;

const FUSE_DEVICE = "/dev/fuse";
const FALLBACK = "fuse-overlayfs";
const TIMEOUT_MS = 60_000;
/** From the program's end to its mount. fuse-overlayfs mounts before it goes into the background. */
const SHOW_MS = 5_000;
const POLL_MS = 10;
/** What libfuse says of every mount option that it leaves to the program; it means nothing. */
const NOISE = /^unknown argument ignored: lazytime\n?/;

/** The program to mount by where the kernel's overlayfs cannot be used; `undefined` when it could not serve here. */
export function findMountProgram(): string | undefined {
  return opensForWriting(FUSE_DEVICE) ? findProgram(FALLBACK) : undefined;
}

/**
 * The mount's options, as the program reads them: a comma inside a value is quoted, and there is no page to fit into.
 * @throws {StrataError} `INVALID_ARGUMENT` for a label that cannot be quoted
 */
export function programMountData({ lowers, upper, extra, label }: Omit<OverlayMount, "switches">): string {
  const options = [`lowerdir=${lowers.join(":")}`];
  if (upper !== undefined) options.push(`upperdir=${upper.diff}`, `workdir=${upper.work}`);
  options.push(...extra);
  if (label !== undefined && label !== "") options.push(`context="${checkedLabel(label).replaceAll(",", "\\,")}"`);
  return options.join(",");
}

/**
 * Makes sure that a program can write below a home: fuse-overlayfs takes an upper directory's whole path for a list.
 * @throws {StrataError} `NOT_SUPPORTED` for a path with a colon
 */
export function requireUnsplit(home: string): void {
  if (!home.includes(":")) return;
  throw new StrataError(
    "NOT_SUPPORTED",
    `Cannot mount for writing by a mount program below "${home}": it would split the path at ":"; use another directory`,
    { feature: "mount program" },
  );
}

/**
 * Mounts, and returns when the tree is there.
 * @throws {StrataError} `IO` with the program's own words when it fails, mounts nothing, or takes too long; `ABORTED` for
 *   the signal. Nothing is mounted then.
 */
export async function mountByProgram(request: ProgramMount): Promise<void> {
  const path = `${request.cwd}/${request.target}`;
  try {
    const said = await runProgram(request, path);
    const deadline = Date.now() + Math.min(request.timeoutMs ?? TIMEOUT_MS, SHOW_MS);
    while (mountAt(path) === undefined) {
      request.signal?.throwIfAborted();
      if (Date.now() > deadline) throw refused(path, request, `it ended, but mounted nothing${said}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } catch (error) {
    await unmount(path);
    if (isStrataError(error) || !request.signal?.aborted) throw error;
    throw new StrataError("ABORTED", `Cannot mount "${path}": the operation was aborted`, {}, { cause: error });
  }
}

/** Runs the program until it serves; gives what it said, as the end of a sentence. */
async function runProgram(request: ProgramMount, path: string): Promise<string> {
  const { program, cwd, target, options, timeoutMs = TIMEOUT_MS, signal } = request;
  const { code, stderr } = await runCommand(program, ["-o", options, target], { cwd, timeoutMs, signal });
  const words = stderr.replace(NOISE, "").trim().replaceAll("\n", "; ");
  const said = words === "" ? "" : `: ${words}`;
  if (code === 0) return said;
  throw refused(path, request, `it ended with code ${code}${said}`);
}

function refused(path: string, { program }: ProgramMount, reason: string): StrataError<"IO"> {
  return new StrataError("IO", `Cannot mount "${path}" by the mount program "${program}": ${reason}`, {
    syscall: "mount",
    path,
  });
}
