// SPDX-License-Identifier: Apache-2.0
/**
 * Where containers/storage keeps what (podman, buildah, skopeo, CRI-O).
 *
 *   <root>/<driver>-layers/layers.json           all layers, one JSON array
 *   <root>/<driver>-layers/volatile-layers.json  those that need not survive
 *   <root>/<driver>-layers/<id>.tar-split.gz     one for each layer that was filled from a tar
 *   <root>/<driver>-layers/<id>/                 its data items (`data_names.ts`)
 *   <root>/overlay/<id>/                         Docker's layout of overlay2, with oddities
 *   <root>/vfs/dir/<id>/                         whole trees
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { directoryExists } from "../../host/files.ts";

/** A driver whose layers can be read here. */
export type ContainersDriver = "overlay" | "vfs";

/** All drivers that containers/storage has. */
const DRIVERS = ["overlay", "vfs", "btrfs", "zfs", "aufs"] as const;

/** The drivers whose layers a root has, readable here or not; none when it is no root of containers/storage. */
export function containersDrivers(root: string): string[] {
  return DRIVERS.filter((driver) => directoryExists(`${root}/${driver}-layers`));
}

/** The places of one driver below one root. */
export class ContainersLayout {
  readonly root: string;
  readonly driver: ContainersDriver;
  /** The driver's own directory. */
  readonly home: string;
  readonly layersDir: string;

  constructor(root: string, driver: ContainersDriver) {
    this.root = root;
    this.driver = driver;
    this.home = `${root}/${driver}`;
    this.layersDir = `${root}/${driver}-layers`;
  }

  /** The files that hold records, in the order in which they are read. */
  get recordFiles(): readonly string[] {
    return ["layers.json", "volatile-layers.json"].map((name) => `${this.layersDir}/${name}`);
  }

  /** From which a layer's tar is rebuilt. */
  tarSplitPath(id: CacheId): string {
    return `${this.layersDir}/${id}.tar-split.gz`;
  }

  /** Where a layer's data items lie. */
  dataDir(id: CacheId): string {
    return `${this.layersDir}/${id}`;
  }

  /** Where a layer's tree lies. */
  treeDir(id: CacheId): string {
    return this.driver === "vfs" ? `${this.home}/dir/${id}` : `${this.home}/${id}`;
  }
}
