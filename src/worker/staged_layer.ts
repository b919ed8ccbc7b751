// SPDX-License-Identifier: Apache-2.0
/**
 * The directory in which one layer is made. All of it is garbage until its parts are renamed into place (I3).
 *
 *   data/tree/        the bare tree, as unpacked                        → data/layer/ when sealed
 *   data/displaced/   contents that later members of the archive replaced
 *   data/layer/       the layer in its driver's form                    → the driver's home when published
 *   record/           tar-split.json.gz, diff, size, …                  → layerdb when published
 *
 * The data counts as what it becomes: where the driver's layers are a project of the file system's quotas, so is it.
 *
 * @module
 */
import { shareProject } from "../host/quota/project_id.ts";
import { ensureDir, openForWrite, removeTreeAt, renamePath } from "../host/files.ts";
import type { OpenFile } from "../host/open_file.ts";

/** Name of the tar-split file: Docker's. */
export const TAR_SPLIT_NAME = "tar-split.json.gz";

const PRIVATE = 0o700;

/** Names the parts of a staged layer. */
export class StagedLayer {
  /** Absolute path of the whole. */
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /**
   * Makes the directories that unpacking needs.
   * @param destination where the layer is to lie: the directory of the driver's layers
   */
  static create(dir: string, destination: string): StagedLayer {
    const staged = new StagedLayer(dir);
    for (const part of [dir, staged.recordDir, staged.dataDir]) ensureDir(part, PRIVATE);
    shareProject(staged.dataDir, destination);
    for (const part of [staged.treeDir, staged.displacedDir]) ensureDir(part, PRIVATE);
    return staged;
  }

  /** What the driver seals. */
  get dataDir(): string {
    return `${this.dir}/data`;
  }

  get treeDir(): string {
    return `${this.dataDir}/tree`;
  }

  get displacedDir(): string {
    return `${this.dataDir}/displaced`;
  }

  get layerDir(): string {
    return `${this.dataDir}/layer`;
  }

  get recordDir(): string {
    return `${this.dir}/record`;
  }

  get tarSplitPath(): string {
    return `${this.recordDir}/${TAR_SPLIT_NAME}`;
  }

  /** Begins the tar-split file. */
  createTarSplit(): OpenFile {
    return openForWrite(this.tarSplitPath);
  }

  /** Puts the parts aside under another name, so that the layer can be made again from them. */
  moveAside(): StagedLayer {
    const aside = new StagedLayer(`${this.dir}-aside`);
    renamePath(this.dir, aside.dir, { replace: "never" });
    StagedLayer.create(this.dir, aside.dataDir);
    return aside;
  }

  /** Removes all that is left. */
  remove(): void {
    removeTreeAt(this.dir);
  }
}
