// SPDX-License-Identifier: Apache-2.0
/**
 * An image registry of the test's own, on a port of this machine.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** Milliseconds for it to start, and between two looks. */
const START_MS_MAX = 30_000;
const POLL_MS = 100;

/** A running registry. Disposing of it ends it. */
export class Registry implements AsyncDisposable {
  /** Host and port. */
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(dir: string, port: number) {
    this.address = `127.0.0.1:${port}`;
    mkdirSync(dir, { recursive: true });
    const config = { version: "0.1", storage: { filesystem: { rootdirectory: dir } }, http: { addr: this.address } };
    writeFileSync(`${dir}/config.json`, JSON.stringify(config)); // JSON is YAML, too.
    this.#process = spawn("docker-registry", ["serve", `${dir}/config.json`], { stdio: "ignore" });
    this.#ended = once(this.#process, "exit");
  }

  /**
   * Starts one and waits until it answers.
   * @param dir where it keeps its blobs
   * @throws {Error} when it does not come up
   */
  static async start(dir: string): Promise<Registry> {
    const port = await freePort();
    const registry = new Registry(dir, port);
    const deadline = Date.now() + START_MS_MAX;
    while (!await answers(port)) {
      if (Date.now() > deadline) {
        await registry[Symbol.asyncDispose]();
        throw new Error(`docker-registry did not start on ${registry.address}`);
      }
      await pause(POLL_MS);
    }
    return registry;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
