// SPDX-License-Identifier: Apache-2.0
/**
 * Running a command as root of a user namespace and a mount namespace of its own.
 *
 * With subordinate ids the user's own id becomes 0 and they follow; newuidmap(1) and newgidmap(1), which are root, write
 * that map. Without, the user's own id is all there is. Terminal, standard streams, signals and exit code are those of
 * the command, as if nothing lay between.
 *
 * The command ends with this process, however that ends: others know the namespace by this process, and take what was
 * mounted there for gone. The kernel sees to that (PR_SET_PDEATHSIG(2const), by setpriv(1)), from when the command has all its
 * rights: gaining some clears the setting.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import type { Duplex } from "node:stream";
import { StrataError } from "../../core/errors.ts";
import { findProgram, runCommand } from "../command.ts";
import { namespaceRefusal } from "./namespace_refusal.ts";
import { currentProcess, effectiveUser } from "../process.ts";
import { SignalRelay } from "./signal_relay.ts";
import { currentUser, rootMap, type SubordinateIds, subordinateIds, type UserIdentity } from "./subordinate_ids.ts";
import { type MappedIds, NAMESPACE_VARIABLE } from "./user_namespace.ts";

/** How a command is run in a namespace. */
export interface EnterOptions {
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Mounts made outside later are seen inside, and none of those made inside are seen outside. */
const UNSHARE = ["--user", "--mount", "--propagation", "slave"];
/** Says over descriptor 3 that it is in its namespaces, and goes on when the maps are written. */
const WAIT_FOR_MAPS = 'printf . >&3 && read -r _ <&3 && exec 3>&- && exec "$@"';
/** A parent that died before the kernel was told ends nothing. */
const UNLESS_ORPHANED = 'test "$PPID" = "$0" && exec "$@"';
const TIMEOUT_MS = 10_000;

/**
 * Runs a command in new namespaces to its end, and gives its exit code: 128 and the signal's number when a signal ended
 * it, 127 when there is no such program. For root, also for root of a namespace, the command is just run: it may mount.
 * @throws {StrataError} `NOT_SUPPORTED` where that is not possible, with the reason and a remedy
 */
export async function runInUserNamespace(command: readonly string[], { env }: EnterOptions): Promise<number> {
  if (effectiveUser() === 0) return await runHere(command, { env });
  const refusal = await namespaceRefusal();
  if (refusal !== undefined) throw refused(refusal.reason, refusal.remedy);
  const { pid, startTime } = currentProcess();
  const options = { env: { ...env, [NAMESPACE_VARIABLE]: `${pid}-${startTime}` } };
  const user = currentUser();
  const ids = subordinateIds(user);
  const bound = ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", UNLESS_ORPHANED, String(pid), ...command];
  if (ids === undefined) return await runToEnd([...UNSHARE, "--map-root-user", "--", ...bound], options);
  requireMapPrograms();
  const waiting = ["sh", "-c", WAIT_FOR_MAPS, "sh", ...bound];
  return await runToEnd([...UNSHARE, "--", ...waiting], { ...options, onReady: (pid) => writeMaps(pid, user, ids) });
}

/** A shell says in its own words when there is no such program. */
async function runHere(command: readonly string[], { env }: EnterOptions): Promise<number> {
  using relay = new SignalRelay();
  return await endOf(relay.to(launch("sh", ["-c", 'exec "$@"', "sh", ...command], { env, gate: "none" })));
}

interface RunOptions extends EnterOptions {
  /** Called when the command is in its namespaces; it goes on afterwards. */
  readonly onReady?: (pid: number) => Promise<void>;
}

async function runToEnd(args: readonly string[], { env, onReady }: RunOptions): Promise<number> {
  using relay = new SignalRelay();
  const child = relay.to(launch("unshare", args, { env, gate: onReady === undefined ? "none" : "descriptor 3" }));
  const ended = endOf(child);
  try {
    if (onReady !== undefined) await openWhenReady(child, onReady);
  } catch (error) {
    child.kill("SIGKILL");
    await ended;
    throw error;
  }
  return await ended;
}

function launch(
  name: string,
  args: readonly string[],
  { env, gate }: EnterOptions & { readonly gate: "none" | "descriptor 3" },
): ChildProcess {
  const program = findProgram(name);
  if (program === undefined) throw refused(`the program "${name}" is not in PATH`, "install it");
  const standard = ["inherit", "inherit", "inherit"] as const;
  return spawn(program, args.map(untouched), {
    env: defined(env),
    stdio: gate === "none" ? [...standard] : [...standard, "pipe"],
  });
}

/** Deno's `spawn` gives its own program options that nobody asked for, unless it meets it under another name. */
function untouched(word: string): string {
  return word === process.execPath ? `/.${word}` : word;
}

/** Waits for the child's sign, and lets it go on after its maps are written. */
async function openWhenReady(child: ChildProcess, onReady: (pid: number) => Promise<void>): Promise<void> {
  // Both ends of a socket, though the types of Node tell them apart.
  const gate = child.stdio[3] as Duplex;
  gate.on("error", () => {}); // The child has ended, which its exit code tells.
  const sign = await new Promise<"ready" | "gone">((resolve) => {
    gate.once("data", () => resolve("ready"));
    gate.once("close", () => resolve("gone"));
  });
  if (sign === "gone") return;
  await onReady(child.pid ?? 0);
  gate.end("\n");
}

async function writeMaps(pid: number, user: UserIdentity, { uids, gids }: SubordinateIds): Promise<void> {
  for (
    const [program, map] of [["newuidmap", rootMap(user.uid, uids)], ["newgidmap", rootMap(user.gid, gids)]] as const
  ) {
    const { code, stderr } = await runCommand(program, [String(pid), ...map.flatMap(mapWords)], {
      timeoutMs: TIMEOUT_MS,
    });
    if (code === 0) continue;
    const [said = ""] = stderr.trim().split("\n", 1);
    throw refused(
      `"${program}" failed: ${said}`,
      `make sure that it is setuid root and that /etc/subuid and /etc/subgid are right`,
    );
  }
}

function mapWords({ inside, outside, count }: MappedIds): string[] {
  return [inside, outside, count].map(String);
}

function requireMapPrograms(): void {
  for (const program of ["newuidmap", "newgidmap"]) {
    if (findProgram(program) !== undefined) continue;
    const package_ = 'install it (Debian: "uidmap"; Fedora: "shadow-utils")';
    throw refused(`this user has subordinate ids, and "${program}" is not in PATH to use them`, package_);
  }
}

function endOf(child: ChildProcess): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

function defined(env: EnterOptions["env"]): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]));
}

function refused(reason: string, remedy: string): StrataError<"NOT_SUPPORTED"> {
  return new StrataError("NOT_SUPPORTED", `Cannot enter a user namespace: ${reason}; ${remedy}`, {
    feature: "user namespaces",
  });
}
