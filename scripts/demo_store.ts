// SPDX-License-Identifier: Apache-2.0
/**
 * The store of the demo, reached in two ways: through the library, and through the command line.
 *
 * @module
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { pipeline } from "node:stream/promises";
import { display, type Layer, LayerStore, parseChainId } from "../mod.ts";

/** What the demo asks of a store. Layers are named by their ChainIDs, writable layers by their names. */
export interface DemoStore extends AsyncDisposable {
  driver(): Promise<string>;
  /** Why a driver cannot be used here; `undefined` when it can. */
  objection(driver: string): Promise<string | undefined>;
  register(tar: ReadableStream<Uint8Array>, options: RegisterOptions): Promise<string>;
  create(name: string, parent: string): Promise<void>;
  /** Gives the path of the tree. */
  mount(name: string): Promise<string>;
  /** Lines such as `A /path`. */
  changes(name: string): Promise<string[]>;
  diff(name: string): AsyncIterable<Uint8Array>;
  commit(name: string): Promise<string>;
  export(layer: string): AsyncIterable<Uint8Array>;
  unmount(name: string): Promise<void>;
  /** Removes a writable layer or the record of a layer, and what nothing needs after it. */
  remove(name: string): Promise<void>;
}

/** What a layer is called, and what it lies on. */
export interface RegisterOptions {
  readonly name: string;
  readonly parent: string | undefined;
}

/** Where a store lies. */
export interface Place {
  readonly root: string;
  readonly runRoot: string;
}

const LETTERS = { add: "A", modify: "C", delete: "D" } as const;

/** The store through the library. */
export class LibraryStore implements DemoStore {
  readonly #store: LayerStore;
  readonly #place: Place;

  private constructor(store: LayerStore, place: Place) {
    this.#store = store;
    this.#place = place;
  }

  static async open(place: Place): Promise<LibraryStore> {
    return new LibraryStore(await LayerStore.open(place), place);
  }

  driver(): Promise<string> {
    return Promise.resolve(this.#store.info().driver);
  }

  async objection(driver: string): Promise<string | undefined> {
    const { root, runRoot } = this.#place;
    try {
      await using _store = await LayerStore.open({ root: `${root}-${driver}`, runRoot, driver });
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async register(tar: ReadableStream<Uint8Array>, { name, parent }: RegisterOptions): Promise<string> {
    const layer = await this.#store.register(tar, parent === undefined ? {} : { parent: parseChainId(parent) });
    return await this.#record(layer, name);
  }

  async create(name: string, parent: string): Promise<void> {
    await this.#store.createRWLayer(name, { parent: parseChainId(parent) });
  }

  mount(name: string): Promise<string> {
    return this.#store.mount(name);
  }

  async changes(name: string): Promise<string[]> {
    const changes = await this.#store.changes(name);
    return changes.map(({ path, kind }) => `${LETTERS[kind]} /${display(path)}`);
  }

  diff(name: string): AsyncIterable<Uint8Array> {
    return this.#store.diff(name);
  }

  async commit(name: string): Promise<string> {
    return await this.#record(await this.#store.commit(name), `${name}-committed`);
  }

  export(layer: string): AsyncIterable<Uint8Array> {
    return this.#store.export(parseChainId(layer));
  }

  async unmount(name: string): Promise<void> {
    await this.#store.unmount(name);
  }

  async remove(name: string): Promise<void> {
    if (this.#store.resolve(name).kind === "writable") await this.#store.releaseRWLayer(name);
    else await this.#store.catalog.delete(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  /** From now on the record keeps the layer, and the handle can go. */
  async #record(layer: Layer, name: string): Promise<string> {
    await this.#store.catalog.add(layer.chainId, { names: [name] });
    await this.#store.release(layer);
    return layer.chainId;
  }
}

/** The store through the command line: one process for each step, as in a shell. */
export class CommandLineStore implements DemoStore {
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  constructor(command: readonly string[], { root, runRoot }: Place) {
    this.#command = command;
    this.#env = { ...process.env, STRATA_ROOT: root, STRATA_RUN_ROOT: runRoot };
  }

  async driver(): Promise<string> {
    const info: unknown = JSON.parse(await this.#text(["info", "--json"]));
    if (typeof info === "object" && info !== null && "driver" in info) return String(info.driver);
    throw new Error('Cannot tell the driver: "info --json" does not name it');
  }

  async objection(driver: string): Promise<string | undefined> {
    try {
      await this.#text(["info", "--root", `${this.#env["STRATA_ROOT"]}-${driver}`, "--driver", driver]);
      return undefined;
    } catch (error) {
      if (error instanceof CommandFailure) return error.said.replace(/^error: /, "");
      throw error;
    }
  }

  async register(tar: ReadableStream<Uint8Array>, { name, parent }: RegisterOptions): Promise<string> {
    const args = ["register", "-", "--name", name, ...(parent === undefined ? [] : ["--parent", parent])];
    return await this.#text(args, tar);
  }

  async create(name: string, parent: string): Promise<void> {
    await this.#text(["create", name, "--parent", parent]);
  }

  mount(name: string): Promise<string> {
    return this.#text(["mount", name]);
  }

  async changes(name: string): Promise<string[]> {
    return (await this.#text(["changes", name])).split("\n");
  }

  diff(name: string): AsyncIterable<Uint8Array> {
    return this.#run(["diff", name]);
  }

  commit(name: string): Promise<string> {
    return this.#text(["commit", name, "--name", `${name}-committed`]);
  }

  export(layer: string): AsyncIterable<Uint8Array> {
    return this.#run(["export", layer]);
  }

  async unmount(name: string): Promise<void> {
    await this.#text(["unmount", name]);
  }

  async remove(name: string): Promise<void> {
    await this.#text(["rm", name]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #text(args: readonly string[], stdin?: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.#run(args, stdin)) text += decoder.decode(chunk, { stream: true });
    return text.trim();
  }

  /** What the program writes; an error in its own words when it fails. */
  async *#run(args: readonly string[], stdin?: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const [program = "", ...words] = this.#command;
    const child = spawn(program, [...words, ...args, "--progress", "none"], { env: this.#env });
    const ended = endOf(child);
    // A program that ends early breaks the pipe; why it did is in its own words.
    const fed = pipeline(stdin ?? [], child.stdin).catch(() => {});
    yield* child.stdout;
    await fed;
    const { code, stderr } = await ended;
    if (code !== 0) throw new CommandFailure(`"strata ${args.join(" ")}" ended with ${code}`, stderr.trim());
  }
}

/** A command that failed, and what it said on standard error. */
class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly said: string;

  constructor(what: string, said: string) {
    super(`${what}: ${said}`);
    this.said = said;
  }
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: null, stderr: error.message }));
    child.on("close", (code) => resolve({ code, stderr }));
  });
}
