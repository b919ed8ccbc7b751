// SPDX-License-Identifier: Apache-2.0
/**
 * A differ driver out of any driver that applies diffs: what is staged is a diff that is unpacked already.
 *
 *   <staging>/       0700, of the project of the driver's layers
 *     tree/          the differ's
 *     work/          the differ's own files
 *
 * @module
 */
import type { Changeset } from "../../changeset/change.ts";
import { giveOwner } from "../../changeset/give_owner.ts";
import { openOwnedTree } from "../../changeset/override_dir.ts";
import { settleTree, type SettleTreeRequest } from "../../changeset/settle_tree.ts";
import { StrataError } from "../../core/errors.ts";
import { IDENTITY, rootPair, sameIdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import { ensureDir, pathExists } from "../../host/files.ts";
import { shareProject } from "../../host/quota/project_id.ts";
import { throwIfAborted } from "../../stream/signal.ts";
import { type Driver, stackOf } from "../driver.ts";
import type {
  ApplyStagedOptions,
  DifferDriver,
  StagedTree,
  StageOptions,
  TreeDiffer,
} from "../interfaces/differ_driver.ts";
import { layersDirOf } from "../parts/layer_directory.ts";
import { unmountBelow } from "../parts/mounting.ts";
import { attempt, removeTree, requireMade } from "../parts/requests.ts";

/** What differs are let into a home by. */
export type DifferableDriver = Pick<
  Driver,
  | "spec"
  | "capabilities"
  | "exists"
  | "locate"
  | "parentsOf"
  | "view"
  | "applyDiff"
  | "idMappingsOf"
  | "treeOf"
  | "metadata"
>;

/** The names under which drivers tell of a layer's own files: Docker's for overlay2, ours for vfs. */
const OWN_FILES = ["UpperDir", "SourceDir"] as const;
const PRIVATE = 0o700;

/** Stages beside the home, and applies what was staged. */
export function naiveDifferDriver(driver: DifferableDriver): DifferDriver {
  return new NaiveDifferDriver(driver);
}

class NaiveDifferDriver implements DifferDriver {
  readonly #driver: DifferableDriver;

  constructor(driver: DifferableDriver) {
    this.#driver = driver;
  }

  async applyDiffWithDiffer<Output>(
    differ: TreeDiffer<Output>,
    { staging, idMappings = this.#driver.spec.idMappings, signal }: StageOptions,
  ): Promise<{ readonly staged: StagedTree; readonly output: Output }> {
    throwIfAborted(signal);
    const { ownership } = this.#driver.capabilities;
    const staged: StagedTree = { staging, dir: `${staging}/tree`, ...(idMappings === undefined ? {} : { idMappings }) };
    const workDir = `${staging}/work`;
    requireNew(staging);
    try {
      attempt(`stage a layer in "${staging}"`, () => {
        ensureDir(staging, PRIVATE);
        shareProject(staging, layersDirOf(this.#driver));
        for (const dir of [staged.dir, workDir]) ensureDir(dir, PRIVATE);
      });
      using target = openOwnedTree(staged.dir, ownership);
      if (idMappings !== undefined) {
        const { uid, gid } = rootPair(idMappings);
        giveOwner(ownership, () => target.setOwner(ROOT, uid, gid));
      }
      const maps = idMappings === undefined ? {} : { idMappings };
      const aborting = signal === undefined ? {} : { signal };
      return { staged, output: await differ.applyDiff(target, { workDir, ownership, ...maps, ...aborting }) };
    } catch (error) {
      await this.cleanupStagingDirectory(staging);
      throw error;
    }
  }

  async applyDiffFromStagingDirectory(
    id: CacheId,
    parent: CacheId | undefined,
    { staging: _, dir, idMappings = IDENTITY, mountLabel, signal, ...unsaid }: StagedTree & ApplyStagedOptions,
  ): Promise<number> {
    requireMade(this.#driver, id);
    const kept = await this.#driver.idMappingsOf(id);
    if (!sameIdMappings(kept, idMappings)) refuseIds(id, dir);
    requireStaged(dir);
    const { ownership } = this.#driver.capabilities;
    using tree = openOwnedTree(dir, ownership);
    const changeset = await this.#settle(id, { ...unsaid, tree, idMappings });
    const diff = { kind: "unpacked", changeset, tree } as const;
    return await this.#driver.applyDiff(id, parent, diff, {
      ...(mountLabel === undefined ? {} : { mountLabel }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async cleanupStagingDirectory(staging: string): Promise<void> {
    await unmountBelow(staging);
    await removeTree(`remove "${staging}"`, staging);
  }

  differTarget(id: CacheId): string {
    requireMade(this.#driver, id);
    const metadata = this.#driver.metadata(id);
    const own = OWN_FILES.map((key) => metadata[key]).find((dir) => dir !== undefined);
    if (own !== undefined) return own;
    const { path, kind } = this.#driver.treeOf(id, "writable");
    if (kind === "directory") return path;
    throw new StrataError(
      "NOT_SUPPORTED",
      `Cannot tell where the files of layer ${id} are: the driver "${this.#driver.spec.name}" does not say; mount it instead`,
      { feature: "the directory of a layer's own files" },
    );
  }

  /** The view may be a mount, and is given back before the layer is opened for writing. */
  async #settle(id: CacheId, staged: Omit<SettleTreeRequest, "below" | "ownership">): Promise<Changeset> {
    await using below = await this.#driver.view(stackOf(this.#driver, id));
    const { ownership } = this.#driver.capabilities;
    return attempt(`settle what was staged for layer ${id}`, () => settleTree({ ...staged, below, ownership }));
  }
}

function requireNew(staging: string): void {
  if (!pathExists(staging)) return;
  throw new StrataError("CONFLICT", `Cannot stage a layer in "${staging}": it exists; use a fresh name`, {
    kind: "staging directory",
    name: staging,
  });
}

function requireStaged(dir: string): void {
  if (pathExists(dir)) return;
  throw new StrataError("NOT_FOUND", `Cannot apply what was staged: "${dir}" does not exist; stage the layer again`, {
    kind: "staging directory",
    ref: dir,
  });
}

function refuseIds(id: CacheId, dir: string): never {
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot apply what was staged in "${dir}" to layer ${id}: it was staged under other ids than the layer is kept under; ` +
      "stage it with the layer's",
    { argument: "idMappings" },
  );
}
