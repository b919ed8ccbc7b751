// SPDX-License-Identifier: Apache-2.0
/**
 * Roots of containers/storage that are made by hand, so that they can be made wrongly, with one sound layer in them.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { ScratchRoot, streamOf } from "./scratch_store.ts";

/** What the sound layer holds. */
export const SOUND: Uint8Array = layerTar([file("sound", "sound\n")]);
/** What lies outside of every root, and must not be read. */
export const SECRET = "nobody is to see this";

/** A root, and a directory beside it that is nobody's business. */
export class MadeRoot implements Disposable {
  readonly dir: string = realpathSync(mkdtempSync(join(tmpdir(), "strata-made-")));
  readonly root: string = join(this.dir, "graph");
  /** Holds the files `secret`, `link`, `lower` … */
  readonly outside: string = join(this.dir, "outside");
  readonly driver: "overlay" | "vfs";
  readonly #records: object[] = [];
  #links = 0;

  private constructor(driver: "overlay" | "vfs") {
    this.driver = driver;
    mkdirSync(join(this.outside, "etc"), { recursive: true });
    for (const name of ["secret", "link", "lower", "etc/shadow", "sound"]) {
      writeFileSync(join(this.outside, name), SECRET);
    }
    mkdirSync(this.layersDir, { recursive: true });
    mkdirSync(join(this.root, driver, driver === "vfs" ? "dir" : "l"), { recursive: true });
  }

  /** A root with the layer `sound`. */
  static async make(driver: "overlay" | "vfs"): Promise<MadeRoot> {
    const made = new MadeRoot(driver);
    await made.#addSound();
    return made;
  }

  get layersDir(): string {
    return join(this.root, `${this.driver}-layers`);
  }

  get layersFile(): string {
    return join(this.layersDir, "layers.json");
  }

  /** Where a layer's tree lies. */
  treeOf(id: string): string {
    return this.driver === "vfs" ? join(this.root, "vfs/dir", id) : join(this.root, "overlay", id, "diff");
  }

  tarSplitOf(id: string): string {
    return join(this.layersDir, `${id}.tar-split.gz`);
  }

  /** A layer whose record and tar-split are those of `sound`; its files are the caller's to make. */
  add(id: string, more: object = {}): void {
    const [sound] = this.#records;
    this.#records.push({ ...sound, id, names: [id], ...more });
    this.write();
    if (this.driver === "overlay") this.#addLink(id);
    cpSync(this.tarSplitOf("sound"), this.tarSplitOf(id));
  }

  /** Any list as the list of layers, beside that of `sound`. */
  write(more: readonly unknown[] = []): void {
    writeFileSync(this.layersFile, JSON.stringify([...this.#records, ...more]));
  }

  /** The tree of `sound` once more. */
  copyTree(id: string): void {
    mkdirSync(join(this.treeOf(id), ".."), { recursive: true });
    cpSync(this.treeOf("sound"), this.treeOf(id), { recursive: true });
  }

  async #addSound(): Promise<void> {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const { chainId, diffId } = await store.register(streamOf(SOUND));
    const record = join(scratch.root, "image/vfs/layerdb/sha256", chainId.slice("sha256:".length));
    cpSync(join(record, "tar-split.json.gz"), this.tarSplitOf("sound"));
    const tree = join(scratch.root, "vfs/dir", readFileSync(join(record, "cache-id"), "utf8"));
    mkdirSync(join(this.treeOf("sound"), ".."), { recursive: true });
    cpSync(tree, this.treeOf("sound"), { recursive: true });
    if (this.driver === "overlay") this.#addLink("sound");
    this.#records.push({
      id: "sound",
      names: ["sound"],
      created: "2026-01-01T00:00:00Z",
      "diff-digest": diffId,
      "diff-size": SOUND.byteLength,
    });
    this.write();
  }

  #addLink(id: string): void {
    const link = String.fromCharCode(65 + this.#links++).repeat(26);
    mkdirSync(join(this.root, "overlay", id), { recursive: true });
    writeFileSync(join(this.root, "overlay", id, "link"), link);
    symlinkSync(`../${id}/diff`, join(this.root, "overlay/l", link));
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A named pipe that nobody writes to. */
export function makeFifo(path: string): void {
  rmSync(path, { recursive: true, force: true });
  execFileSync("mkfifo", [path]);
}
