// SPDX-License-Identifier: Apache-2.0
/**
 * What drivers have in common that read the homes of another tool's drivers in place: they write nothing there, so that all
 * that would is refused. No layer is mounted there either, since even a mount point would have to be made.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { IDENTITY, type IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import { fileSystemOf } from "../../host/fs_info.ts";
import type { Change } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { Driver } from "../driver.ts";
import type { DiffGetter, DiffOptions } from "../interfaces/diff_driver.ts";
import type { DifferDriver } from "../interfaces/differ_driver.ts";
import type { DriverCapabilities, DriverSpec, OutsideHome } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { OutsideLayers, OutsideTree } from "../interfaces/outside_layers.ts";
import type { DiskUsage, FoundLayer, LayerTree, StatusRow } from "../interfaces/proto_driver.ts";
import { naiveDifferDriver } from "../naive/naive_differ.ts";
import { viewedDiff, viewedDiffSize } from "../parts/view_diff.ts";

/** A home of containers/storage, for reading. */
export abstract class ReadOnlyDriver implements Driver {
  readonly capabilities: DriverCapabilities = {
    mounts: "no",
    readOnlyMounts: "enforced",
    lowersMax: Infinity,
    ownership: "archive",
    reflink: "no",
    reproducesExactDiffs: "no",
  };
  readonly outsideLayers: OutsideLayers = {
    createStandIn: () => this.refuse("make layers"),
    standInOf: () => undefined,
    asOutside: (id) => this.asOutside(id),
  };
  readonly differs: DifferDriver = {
    applyDiffWithDiffer: () => Promise.reject(this.#refusal("stage layers")),
    applyDiffFromStagingDirectory: () => Promise.reject(this.#refusal("apply diffs")),
    cleanupStagingDirectory: () => Promise.reject(this.#refusal("remove anything")),
    differTarget: (id) => naiveDifferDriver(this).differTarget(id),
  };
  readonly #spec: DriverSpec;
  readonly #outside: (() => OutsideHome) | undefined;

  /** @param outside what the records say now; absent: what they said when the spec was made */
  protected constructor(spec: DriverSpec, outside?: () => OutsideHome) {
    this.#spec = spec;
    this.#outside = outside;
  }

  /** What a thread needs to read the layers as they are now. */
  get spec(): DriverSpec {
    return this.#outside === undefined ? this.#spec : { ...this.#spec, outside: this.#outside() };
  }

  abstract locate(id: CacheId): LayerLocation;
  abstract exists(id: CacheId): boolean;
  abstract parentsOf(id: CacheId): readonly LayerLocation[];
  abstract list(): readonly FoundLayer[];
  abstract view(stack: readonly LayerLocation[]): TreeView;
  abstract diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter;
  abstract changes(id: CacheId, parent: CacheId | undefined): Change[];
  abstract readWriteDiskUsage(id: CacheId): DiskUsage;
  abstract metadata(id: CacheId): Readonly<Record<string, string>>;
  abstract treeOf(id: CacheId): LayerTree;
  protected abstract asOutside(id: CacheId): OutsideTree;

  diff(id: CacheId, parent: CacheId | undefined, options: DiffOptions = {}): ReadableStream<Uint8Array> {
    return viewedDiff(this, { ...options, id, parent });
  }

  async diffSize(id: CacheId, parent: CacheId | undefined): Promise<number> {
    return await viewedDiffSize(this, { id, parent });
  }

  /** As the records of that tool have it. */
  idMappingsOf(id: CacheId): IdMappings {
    const { idMappings = {} } = this.spec.outside ?? {};
    // A layer may be called "constructor".
    return Object.hasOwn(idMappings, id) ? idMappings[id] ?? IDENTITY : IDENTITY;
  }

  status(): readonly StatusRow[] {
    return [["Backing Filesystem", fileSystemOf(this.spec.home).name]];
  }

  supportsShifting(): "no" {
    return "no";
  }

  additionalImageStores(): readonly string[] {
    return [];
  }

  needsOf(id: CacheId): readonly CacheId[] {
    return this.parentsOf(id).map(({ cacheId }) => cacheId);
  }

  mountsOver(): readonly string[] {
    return [];
  }

  debris(): readonly never[] {
    return [];
  }

  check(): readonly never[] {
    return [];
  }

  create(): never {
    return this.refuse("make layers");
  }

  createReadWrite(): never {
    return this.refuse("make layers");
  }

  createFromTemplate(): never {
    return this.refuse("make layers");
  }

  applyDiff(): Promise<never> {
    return Promise.reject(this.#refusal("apply diffs"));
  }

  get(): Promise<never> {
    return Promise.reject(this.#refusal("mount layers"));
  }

  remove(): Promise<never> {
    return Promise.reject(this.#refusal("remove layers"));
  }

  updateLayerIdMap(): never {
    return this.refuse("change owners");
  }

  seal(): never {
    return this.refuse("make layers");
  }

  rebase(): never {
    return this.refuse("make layers");
  }

  publish(): never {
    return this.refuse("make layers");
  }

  replace(): never {
    return this.refuse("replace layers");
  }

  mend(): never {
    return this.refuse("mend layers");
  }

  removeDebris(): Promise<never> {
    return Promise.reject(this.#refusal("remove anything"));
  }

  /** Nothing is mounted there by this package. */
  async put(): Promise<void> {}

  /** Nothing is written there, so nothing is to be synced. */
  syncHome(): void {}

  /** Nothing is mounted there by this package. */
  async cleanup(): Promise<void> {}

  /** @throws {StrataError} `NOT_SUPPORTED`, always */
  protected refuse(what: string): never {
    throw this.#refusal(what);
  }

  #refusal(what: string): StrataError<"NOT_SUPPORTED"> {
    return new StrataError(
      "NOT_SUPPORTED",
      `Cannot ${what} in "${this.spec.home}": it belongs to containers/storage, and is only read; use that tool`,
      { feature: "writing to a store of containers/storage" },
    );
  }
}
