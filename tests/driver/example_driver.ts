// SPDX-License-Identifier: Apache-2.0
/**
 * A driver that keeps each layer as a whole directory, and mounts nothing.
 *
 * @module
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import process from "node:process";
import {
  type CacheId,
  completeDriver,
  copyDirectory,
  type CreateOptions,
  type DiskUsage,
  diskUsageOf,
  type DriverCapabilities,
  type DriverFactory,
  type DriverSpec,
  findLayers,
  type FoundLayer,
  type LayerRenamer,
  type LayerTree,
  makeLayerDirectory,
  type ProtoDriver,
  type StatusRow,
  type TemplateOptions,
} from "../../mod.ts";

class PlainDriver implements ProtoDriver, LayerRenamer {
  readonly spec: DriverSpec;
  readonly capabilities: DriverCapabilities = {
    mounts: "yes", // `get` gives a tree that can be written to.
    readOnlyMounts: "trusted", // Nothing stops who writes through it.
    lowersMax: Infinity,
    ownership: process.geteuid?.() === 0 ? "archive" : "self",
    reflink: "no",
    reproducesExactDiffs: "no",
  };

  constructor(spec: DriverSpec) {
    this.spec = spec;
    mkdirSync(spec.home, { recursive: true, mode: 0o710 });
  }

  create(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    if (parent === undefined) makeLayerDirectory(this.#dirOf(id));
    else this.#copy(parent, id, options);
  }

  createReadWrite(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    this.create(id, parent, options);
  }

  /** A layer is its whole tree, so the copy of a layer is a layer on the same parent. */
  createFromTemplate(id: CacheId, { template, ...options }: TemplateOptions): void {
    this.#copy(template, id, options);
  }

  /** Not asked for, but easy: with it, layers appear in one step. */
  rename(from: CacheId, to: CacheId): void {
    renameSync(this.#dirOf(from), this.#dirOf(to));
  }

  remove(id: CacheId): Promise<void> {
    rmSync(this.#dirOf(id), { recursive: true, force: true });
    return Promise.resolve();
  }

  treeOf(id: CacheId): LayerTree {
    return { path: this.#dirOf(id), kind: "directory" };
  }

  get(id: CacheId): Promise<string> {
    return Promise.resolve(this.#dirOf(id));
  }

  put(): Promise<void> {
    return Promise.resolve();
  }

  exists(id: CacheId): boolean {
    return existsSync(this.#dirOf(id));
  }

  list(): readonly FoundLayer[] {
    return findLayers(this.spec.home);
  }

  status(): readonly StatusRow[] {
    return [["Home", this.spec.home]];
  }

  metadata(id: CacheId): Readonly<Record<string, string>> {
    return { Directory: this.#dirOf(id) };
  }

  readWriteDiskUsage(id: CacheId): DiskUsage {
    return diskUsageOf(this.#dirOf(id));
  }

  cleanup(): Promise<void> {
    return Promise.resolve();
  }

  additionalImageStores(): readonly string[] {
    return [];
  }

  #copy(from: CacheId, to: CacheId, { onEntry }: CreateOptions): void {
    copyDirectory(this.#dirOf(from), this.#dirOf(to), { ownership: this.capabilities.ownership, onEntry });
  }

  #dirOf(id: CacheId): string {
    return `${this.spec.home}/${id}`;
  }
}

/** What the driver is registered with, here and in the store's threads. */
const factory: DriverFactory = {
  open: (spec) => completeDriver(new PlainDriver(spec)),
  probe: () => Promise.resolve(undefined), // It works everywhere.
};

export default factory;
