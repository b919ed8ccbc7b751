// SPDX-License-Identifier: Apache-2.0
/**
 * A process at a store's catalog that is killed at one of its system calls.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { CatalogOrder } from "./catalog_child.ts";
import { runtime } from "./child.ts";

/** What changes names in directories: between two of these calls, a crash leaves what the one before has done. */
export const NAMING_CALLS = ["renameat,renameat2", "unlinkat", "mkdir,mkdirat"] as const;

/** When the process is killed. */
export interface KillPoint {
  /** Names of system calls, as strace has them. */
  readonly calls: string;
  /** At which of them, counted from 1. */
  readonly nth: number;
}

/** Runs a child under strace; tells whether it came to the call, and was killed, or ended before. */
export function killCatalogChild(order: CatalogOrder, { calls, nth }: KillPoint): "ended" | "killed" {
  const [program = "", ...args] = [...runtime("catalog_child"), JSON.stringify(order)];
  const inject = `inject=${calls}:signal=KILL:when=${nth}`;
  const strace = ["-f", "-qqq", "-o", "/dev/null", "-e", `trace=${calls}`, "-e", inject];
  const { status, signal, stderr } = spawnSync("strace", [...strace, program, ...args], { encoding: "utf8" });
  if (status === 0) return "ended";
  assert(signal === "SIGKILL" || status === 137, stderr);
  return "killed";
}
