// SPDX-License-Identifier: Apache-2.0
/**
 * A home of the vfs driver: where its trees and the notes about them lie, under which ids, owners and limits.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { Ownership } from "../../changeset/change.ts";
import { ensureDir, realPath } from "../../host/files.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { LayerIds } from "../parts/layer_ids.ts";
import { ownershipHere } from "../parts/ownership.ts";
import { LayerQuota, UNLIMITED } from "../parts/quota.ts";
import { attempt } from "../parts/requests.ts";
import { parseVfsOptions } from "./options.ts";
import { treeAt } from "./stand_ins.ts";

/** Of the home, and of the directories in it. */
const MODE = 0o710;
/** Directories of notes about layers, which are named as the layers are. */
export const NOTES: readonly string[] = ["baselines", "id-maps"];

/** One home, open. */
export class VfsHome {
  /** Absolute, without symlinks. */
  readonly path: string;
  /** See {@link DriverSpec.within}. */
  readonly within: readonly string[] | undefined;
  readonly ids: LayerIds;
  readonly quota: LayerQuota;
  /** What a writable layer may use that asks for nothing else. */
  readonly limits: ProjectLimits;
  readonly ownership: Ownership;

  /**
   * Makes the home when there is none, unless it is another store's.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have, `NOT_SUPPORTED` for limits that nothing keeps
   */
  constructor(spec: DriverSpec) {
    const { chownErrors, limits = UNLIMITED } = parseVfsOptions(spec.options);
    const opening = `open the driver's home "${spec.home}"`;
    const { within } = spec;
    this.within = within;
    this.path = attempt(opening, () => {
      if (within !== undefined) return spec.home;
      ensureDir(spec.home, MODE);
      return realPath(spec.home);
    });
    this.ids = new LayerIds(spec, {
      noteOf: ({ cacheId }) => `${this.path}/id-maps/${cacheId}`,
      treeOf: ({ dir }) => treeAt(dir),
      open: ({ dir }) => RootedDir.open(treeAt(dir), { within }),
    });
    if (within === undefined) attempt(opening, () => this.ids.admitAll(this.path));
    this.quota = new LayerQuota({ home: this.path, layers: `${this.path}/dir` });
    this.limits = limits;
    this.quota.require(limits);
    this.ownership = ownershipHere(chownErrors);
  }

  /** Where a layer lies, whether there is one or not. */
  locate(id: CacheId): LayerLocation {
    return { cacheId: id, dir: `${this.path}/dir/${id}` };
  }

  /** Where it is noted of what a writable layer began as a copy. */
  baselineOf(id: CacheId): string {
    return `${this.path}/baselines/${id}`;
  }

  /** Makes the home's directories. Not when the home is opened: who only reads writes nothing. */
  prepare(): void {
    for (const name of ["dir", ...NOTES]) ensureDir(`${this.path}/${name}`, MODE);
    this.ids.admitAll(`${this.path}/dir`);
  }
}
