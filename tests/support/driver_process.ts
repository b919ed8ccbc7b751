// SPDX-License-Identifier: Apache-2.0
/**
 * Processes that use a driver and are killed in the middle: the same runtime, running `driver_child.ts`.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { DriverSpec } from "../../src/driver/interfaces/driver_spec.ts";
import type { CrashPoint } from "../../src/testing/driver_suite.ts";

/** What the process is told, as JSON in its first argument. */
export interface DriverOrder {
  readonly spec: DriverSpec;
  readonly work: string;
  readonly point: CrashPoint;
}

/**
 * Starts a process, and kills it when it has come to its point.
 * @throws {Error} when it ends before
 */
export async function killAt(order: DriverOrder): Promise<void> {
  const [program = "", ...args] = [...runtimeOf("driver_child"), JSON.stringify(order)];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  child.stdout.once("data", () => child.kill("SIGKILL"));
  await new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resolve();
      else reject(new Error(`The driver's process ended by itself (${code}): ${errors}`));
    });
  });
}

/** This runtime on a script beside this file: the source as it is, or the compiled file. */
function runtimeOf(script: string): string[] {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const path = fileURLToPath(new URL(`./${script}.${extension}`, import.meta.url));
  return [process.execPath, ...("deno" in process.versions ? ["run", "-A", "--no-check"] : []), path];
}
