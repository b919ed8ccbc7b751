// SPDX-License-Identifier: Apache-2.0
/**
 * A dockerd of the test's own: without a network, on a data root that others can look at.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { mountsBelow } from "../../src/host/mount_table.ts";

/** Milliseconds for a dockerd to start, and to end by itself. */
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 30_000;
/** Milliseconds between two looks. */
const POLL_MS = 100;

/** A running dockerd. Disposing of it ends it, and unmounts what it left. */
export class Dockerd implements AsyncDisposable {
  /** Its data root. */
  readonly root: string;
  readonly #dir: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #state: "running" | "ended" = "running";

  /** Use {@link Dockerd.start}. */
  private constructor(dir: string, root: string) {
    this.root = root;
    this.#dir = dir;
    mkdirSync(dir, { recursive: true });
    const log = openSync(this.#logPath, "a");
    this.#process = spawn("dockerd", this.#args(), { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#state = "ended";
        resolve();
      };
      this.#process.on("error", end);
      this.#process.on("exit", end);
    });
  }

  /**
   * Starts one and waits until it answers.
   * @param dir where its other files go
   * @throws {Error} with the end of its log, when it does not come up
   */
  static async start(dir: string, root: string): Promise<Dockerd> {
    const dockerd = new Dockerd(dir, root);
    const deadline = Date.now() + START_MS_MAX;
    while (spawnSync("docker", ["-H", dockerd.#socket, "version"]).status !== 0) {
      if (dockerd.#state === "ended" || Date.now() > deadline) {
        await dockerd[Symbol.asyncDispose]();
        throw new Error(`dockerd did not start: ${readFileSync(dockerd.#logPath, "utf8").slice(-4000)}`);
      }
      await pause(POLL_MS);
    }
    return dockerd;
  }

  /** Its process number. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /**
   * Runs `docker` and gives what it prints.
   * @throws {Error} with standard error, when it fails
   */
  docker(...args: string[]): string {
    const { status, stdout, stderr, error } = spawnSync("docker", ["-H", this.#socket, ...args], { encoding: "utf8" });
    if (status !== 0) throw new Error(`docker ${args.join(" ")}: ${error ?? stderr}`);
    return stdout.trimEnd();
  }

  /** Ends it, and what it started. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "running") {
      this.#process.kill("SIGTERM");
      await Promise.race([this.#ended, pause(STOP_MS_MAX, undefined, { ref: false })]);
      this.#process.kill("SIGKILL");
      await this.#ended;
    }
    this.#endContainerd();
    for (const dir of [this.root, this.#dir]) {
      for (const { mountPoint } of mountsBelow(dir).reverse()) spawnSync("umount", ["-l", mountPoint]);
    }
  }

  /** dockerd ends its containerd, unless it was killed itself. */
  #endContainerd(): void {
    try {
      process.kill(Number(readFileSync(join(this.#dir, "exec/containerd/containerd.pid"), "utf8")), "SIGKILL");
    } catch {
      // It is gone, as it should be.
    }
  }

  #args(): string[] {
    const places = ["--data-root", this.root, "--exec-root", `${this.#dir}/exec`, "--pidfile", `${this.#dir}/pid`];
    const network = ["--bridge=none", "--iptables=false", "--ip6tables=false"];
    return [...places, "--storage-driver", "overlay2", ...network, "-H", this.#socket];
  }

  get #socket(): string {
    return `unix://${this.#dir}/socket`;
  }

  get #logPath(): string {
    return join(this.#dir, "log");
  }
}
