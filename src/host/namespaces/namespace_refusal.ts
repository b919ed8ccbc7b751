// SPDX-License-Identifier: Apache-2.0
/**
 * Why this machine does not let an ordinary user have a user namespace, in words that say what to do.
 *
 * The kernel's own switches are in namespaces(7) and user_namespaces(7); Debian and Ubuntu have one more each.
 *
 * @module
 */
import { findProgram, runCommand } from "../command.ts";
import { pathExists, readText } from "../files.ts";

/** A reason and a remedy, both as clauses. */
export interface NamespaceRefusal {
  readonly reason: string;
  readonly remedy: string;
}

interface Switch {
  readonly path: string;
  /** The value that forbids namespaces. */
  readonly forbids: string;
  readonly reason: string;
  readonly setting: string;
}

const SWITCHES: readonly Switch[] = [
  {
    path: "/proc/sys/user/max_user_namespaces",
    forbids: "0",
    reason: "this machine allows no user namespaces",
    setting: "user.max_user_namespaces=15000",
  },
  {
    path: "/proc/sys/kernel/unprivileged_userns_clone",
    forbids: "0",
    reason: "this machine allows user namespaces to root only",
    setting: "kernel.unprivileged_userns_clone=1",
  },
  {
    path: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    forbids: "1",
    reason: "AppArmor takes all rights from user namespaces of programs without a profile",
    setting: "kernel.apparmor_restrict_unprivileged_userns=0",
  },
];

/** Programs without which no namespace is entered. */
const PROGRAMS = ["unshare", "setpriv"] as const;
const TIMEOUT_MS = 10_000;

/** Why a command cannot be run in a user namespace here; `undefined` when it can. Tries it. */
export async function namespaceRefusal(): Promise<NamespaceRefusal | undefined> {
  if (!pathExists("/proc/self/ns/user")) {
    return { reason: "the kernel has no user namespaces", remedy: "use a kernel with CONFIG_USER_NS" };
  }
  const missing = PROGRAMS.find((name) => findProgram(name) === undefined);
  if (missing !== undefined) return { reason: `the program "${missing}" is not in PATH`, remedy: "install util-linux" };
  // A mount shows that the namespace gives rights, too, and is not only there.
  const mount = ["setpriv", "--pdeathsig", "KILL", "--", "mount", "-t", "tmpfs", "none", "/proc"];
  const args = ["--user", "--map-root-user", "--mount", "--propagation", "slave", "--", ...mount];
  const { code, stderr } = await runCommand("unshare", args, { timeoutMs: TIMEOUT_MS });
  return code === 0 ? undefined : diagnose(stderr);
}

function diagnose(stderr: string): NamespaceRefusal {
  for (const { path, forbids, reason, setting } of SWITCHES) {
    if (readText(path)?.trim() === forbids) return { reason, remedy: `as root, run "sysctl -w ${setting}"` };
  }
  if (stderr.startsWith("setpriv: ")) {
    return {
      reason: `"setpriv" failed: ${stderr.slice(9).split("\n", 1)}`,
      remedy: "install that of util-linux, 2.33 or later",
    };
  }
  return {
    reason: stderr.trim().split("\n", 1)[0] || "it was refused without a reason",
    remedy:
      "inside a container, allow it there (Docker: --security-opt seccomp=unconfined); otherwise ask the administrator",
  };
}
