// SPDX-License-Identifier: Apache-2.0
/**
 * Where everything lies below a store's root. Pure: it computes paths and touches nothing.
 *
 *   image/<driver>/layerdb/sha256/<hex>/            a layer's record: Docker's files, and strata.json
 *   image/<driver>/layerdb/sha256/<hex>-…-removing/ a layer whose deletion has begun
 *   image/<driver>/layerdb/mounts/<name>/           a writable layer's record: Docker's files, and strata.json
 *   image/<driver>/imagedb/{content,metadata}/      images: Docker's files
 *   image/<driver>/repositories.json                the images' names: Docker's file
 *   image/<driver>/distribution/                    which layer a blob holds: Docker's files
 *   image/<driver>/strata/catalog/{records,names}/  what Docker has no file for
 *   image/<driver>/strata/users/<kind>/<hex>/       who refers to a layer
 *   strata/lock                                     the write lock
 *   strata/tmp/<id>/                                operations under way
 *   strata/holds/<pid>-<random>                     layers that running processes use
 *   strata/claims/<what>                            what running processes are making or removing
 *   strata/quarantine/<id>                          damaged records that were moved aside
 *
 * All of it is on one file system, so that one rename publishes (I3). Docker reads its own files and ignores the rest.
 *
 * @module
 */
import { type ChainId, type Digest, digestHex } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { RecordId } from "../core/ids.ts";

/** One path component that is neither hidden nor a way out. */
const DRIVER_NAME = /^[a-z0-9][a-z0-9_.-]*$/;

/** The paths of one store under one driver. */
export class StoreLayout {
  /** The store's root, absolute. */
  readonly root: string;
  /** The driver's name; Docker keeps the records of each driver apart. */
  readonly driver: string;

  /** @throws {StrataError} `INVALID_ARGUMENT` when the driver's name is no plain directory name */
  constructor(root: string, driver: string) {
    if (!DRIVER_NAME.test(driver)) {
      throw new StrataError(
        "INVALID_ARGUMENT",
        `Cannot use driver name "${driver}": expected lower-case letters, digits, "_", "." and "-"`,
        { argument: "driver" },
      );
    }
    this.root = root;
    this.driver = driver;
  }

  /** Docker's records for this driver. */
  get imageDir(): string {
    return `${this.root}/image/${this.driver}`;
  }

  /** Docker's layer records for this driver. */
  get layerDbDir(): string {
    return `${this.imageDir}/layerdb`;
  }

  /** Holds one directory per layer. Docker makes it when the first layer is published. */
  get layersDir(): string {
    return `${this.layerDbDir}/sha256`;
  }

  /** Holds one directory per writable layer. */
  get mountsDir(): string {
    return `${this.layerDbDir}/mounts`;
  }

  /** Docker's transactions, abandoned ones included; this store makes none there. */
  get dockerTmpDir(): string {
    return `${this.layerDbDir}/tmp`;
  }

  /** Image configs, one file each. */
  get imageContentDir(): string {
    return `${this.imageDir}/imagedb/content/sha256`;
  }

  /** The images' names. */
  get repositoriesPath(): string {
    return `${this.imageDir}/repositories.json`;
  }

  /** One file per catalog record. */
  get recordsDir(): string {
    return `${this.imageDir}/strata/catalog/records`;
  }

  /** One file per name of a catalog record. */
  get namesDir(): string {
    return `${this.imageDir}/strata/catalog/names`;
  }

  /** One directory of files per catalog record that has data items. */
  get bigDataDir(): string {
    return `${this.imageDir}/strata/catalog/data`;
  }

  /** Which records refer to which layer. */
  get usersDir(): string {
    return `${this.imageDir}/strata/users`;
  }

  /** Operations under way, of every driver. */
  get stagingDir(): string {
    return `${this.root}/strata/tmp`;
  }

  /** Layers that running processes use, of every driver. */
  get holdsDir(): string {
    return `${this.root}/strata/holds`;
  }

  /** What running processes are making or removing, of every driver. */
  get claimsDir(): string {
    return `${this.root}/strata/claims`;
  }

  /** Damaged records that were moved aside, of every driver. */
  get quarantineDir(): string {
    return `${this.root}/strata/quarantine`;
  }

  /** The file whose flock is the write lock. */
  get lockPath(): string {
    return `${this.root}/strata/lock`;
  }

  /** A layer's record. */
  layerDir(chainId: ChainId): string {
    return `${this.layersDir}/${digestHex(chainId)}`;
  }

  /** An image's config. */
  imageConfigPath(imageId: Digest): string {
    return `${this.imageContentDir}/${digestHex(imageId)}`;
  }

  /** What Docker notes of an image. */
  imageMetadataDir(imageId: Digest): string {
    return `${this.imageDir}/imagedb/metadata/sha256/${digestHex(imageId)}`;
  }

  /** Docker's note of which layer a blob holds. */
  diffIdPath(blob: Digest): string {
    return `${this.imageDir}/distribution/diffid-by-digest/sha256/${digestHex(blob)}`;
  }

  /** A writable layer's record. The name must have been parsed: it becomes a path component. */
  mountDir(name: string): string {
    return `${this.mountsDir}/${name}`;
  }

  /** A catalog record. */
  recordPath(id: RecordId): string {
    return `${this.recordsDir}/${id}.json`;
  }
}
