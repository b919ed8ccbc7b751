// SPDX-License-Identifier: Apache-2.0
/**
 * A process that has dockerd's name and arguments, and does nothing.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Such a process. Disposing of it ends it. */
export class FakeDockerd implements AsyncDisposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "strata-dockerd-"));
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(args: readonly string[], cwd: string) {
    const program = join(this.#dir, "dockerd");
    symlinkSync("/bin/sh", program);
    this.#process = spawn(program, ["-c", "echo up; read end", ...args], { cwd, stdio: ["pipe", "pipe", "inherit"] });
    this.#ended = new Promise((resolve) => this.#process.on("close", () => resolve()));
  }

  /** Starts one, in a working directory. */
  static async start(args: readonly string[], cwd: string = process.cwd()): Promise<FakeDockerd> {
    const fake = new FakeDockerd(args, cwd);
    await new Promise((resolve) => fake.#process.stdout?.once("data", resolve));
    return fake;
  }

  /** Its process number. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin?.end();
    await this.#ended;
    rmSync(this.#dir, { recursive: true });
  }
}
