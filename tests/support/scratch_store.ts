// SPDX-License-Identifier: Apache-2.0
/**
 * Stores in directories that disappear after the test.
 *
 * @module
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayerStore, type OpenOptions } from "../../mod.ts";

/** The drivers that work for this user. */
export const DRIVERS: readonly string[] = process.getuid?.() === 0 ? ["overlay2", "vfs"] : ["vfs"];

/** A place for a store, and what can be asked of it. */
export class ScratchRoot implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "strata-test-"));
  readonly #stores: Pick<typeof LayerStore, "open">;

  /** Of the public module's stores; a test that looks behind those gives the class of the module that it looks into. */
  constructor(stores: Pick<typeof LayerStore, "open"> = LayerStore) {
    this.#stores = stores;
  }

  /** The store's root. */
  get root(): string {
    return join(this.dir, "root");
  }

  /** Opens the store, not durable: no test cuts the power; and its threads at once: none has an event loop to keep quick. */
  open(options: OpenOptions = {}): Promise<LayerStore> {
    const runRoot = join(this.dir, "run");
    return this.#stores.open({ root: this.root, runRoot, durability: "none", pace: "full", ...options });
  }

  /** What operations have left in the staging directory. */
  leftovers(): string[] {
    const staging = join(this.root, "strata/tmp");
    return existsSync(staging) ? readdirSync(staging) : [];
  }

  /** Directories in the driver's home that hold layers. */
  layerDirs(driver: string): string[] {
    const home = driver === "vfs" ? join(this.root, "vfs/dir") : join(this.root, driver);
    return existsSync(home) ? readdirSync(home).filter((name) => name !== "l") : [];
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Bytes as a stream, in chunks of the given size. */
export function streamOf(bytes: Uint8Array, chunkBytes = 65536): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(offset, offset + chunkBytes));
      offset += chunkBytes;
    },
  });
}

/** All bytes of a stream. */
export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
