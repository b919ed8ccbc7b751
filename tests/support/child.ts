// SPDX-License-Identifier: Apache-2.0
/**
 * Other processes that use a store: the same runtime, running `store_child.ts` or `stress_worker.ts`.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ErrorCode } from "../../mod.ts";

/** What a child is to do. */
export type ChildTask = "hold" | "register" | "register-forever" | "run-a-job" | "stage";

/** A child's orders, as JSON in its first argument. */
export interface ChildOrder {
  readonly task: ChildTask;
  readonly root: string;
  readonly runRoot: string;
  readonly driver: string;
  /** `hold`: the layer. */
  readonly chainId?: string;
  /** `register`: number of files of the layer. `register-forever`: of each layer. */
  readonly fileCount?: number;
  /** `register-forever`: members of the first layer only. */
  readonly durability?: "full" | "none";
}

/** What a process under stress is to do. */
export interface StressOrder extends Omit<ChildOrder, "task"> {
  /** Tells it apart from the others. */
  readonly name: string;
  readonly seed: number;
  readonly steps: number;
}

/** What a child says, as JSON lines. */
export type ChildWord =
  /** A catalog record was made, and is to be there with its layer; or it is about to be removed. */
  | { readonly type: "kept" | "dropping"; readonly recordId: string; readonly chainId: string }
  | { readonly type: "held" | "registered" | "done"; readonly chainId?: string }
  | { readonly type: "failed"; readonly code: ErrorCode | "none"; readonly message: string };

/** How a child is run. */
export interface ChildOptions {
  /** A program and its arguments that run the child in their way, such as `prlimit`. */
  readonly wrapper?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** A running child. Disposing of it kills it. */
export class Child implements AsyncDisposable {
  readonly words: ChildWord[] = [];
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  #wake: (() => void) | undefined;

  constructor(order: ChildOrder | StressOrder, { wrapper = [], env = {} }: ChildOptions = {}) {
    const script = "steps" in order ? "stress_worker" : "store_child";
    const [program = "", ...args] = [...wrapper, ...runtime(script), JSON.stringify(order)];
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    this.#process = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.ended = this.#watch();
  }

  /** The first word of the child, or its end. */
  async firstWord(): Promise<ChildWord | ChildEnd> {
    for (;;) {
      const [word] = this.words;
      if (word !== undefined) return word;
      const more = new Promise<"more">((resolve) => this.#wake = () => resolve("more"));
      const next = await Promise.race([this.ended, more]);
      if (next !== "more") return this.words[0] ?? next;
    }
  }

  /** Lets a child go on that waits for its input to end. */
  letGo(): void {
    this.#process.stdin?.end();
  }

  /** Ends it without a chance to clean up. */
  async kill(): Promise<ChildEnd> {
    this.#process.kill("SIGKILL");
    return await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #watch(): Promise<ChildEnd> {
    let pending = "";
    let stderr = "";
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (pending + text).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) this.words.push(JSON.parse(line));
      this.#wake?.();
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => stderr += text);
    this.#process.stdin?.on("error", () => {}); // A child that is gone reads no more.
    return new Promise((resolve, reject) => {
      this.#process.on("error", reject);
      this.#process.on("close", (code, signal) => resolve({ code, signal, stderr }));
    });
  }
}

/** This runtime on a script of this directory: the source as it is, or the compiled file. */
export function runtime(script: string): string[] {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const path = fileURLToPath(new URL(`./${script}.${extension}`, import.meta.url));
  return [process.execPath, ...("deno" in process.versions ? ["run", "-A", "--no-check"] : []), path];
}
