// SPDX-License-Identifier: Apache-2.0
/**
 * Under which ids the layers of one home are kept, and how they are shown under those of their archives.
 *
 * @module
 */
import type { FileStat } from "../../core/file_stat.ts";
import { containerShift, type IdMappings, isIdentity, rootPair, sameIdMappings } from "../../core/id_map.ts";
import { ROOT } from "../../core/layer_path.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { chownTreeByMaps } from "../../changeset/chown_tree.ts";
import { type LayerDir, MappedDir } from "../../changeset/mapped_dir.ts";
import type { DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { type ChangeOwnersRequest, IdNotes } from "./id_notes.ts";

/** A home's layout, as far as it matters here. */
export interface LayerIdsOptions {
  /** Where a layer's own note lies. */
  readonly noteOf: (location: LayerLocation) => string;
  /** Where a layer's own files lie. */
  readonly treeOf: (location: LayerLocation) => string;
  /** Opens them, where they are not kept as they are. */
  readonly open?: (location: LayerLocation) => RootedDir;
  /** Opens them to change owners, where that is another thing. */
  readonly openToChange?: (location: LayerLocation) => RootedDir;
  /** Whether an object among them is a mark of the driver's. */
  readonly isMark?: (stat: FileStat) => boolean;
}

/** The ids of the layers of one home. */
export class LayerIds extends IdNotes {
  readonly #options: LayerIdsOptions;

  /** @throws {StrataError} `INVALID_ARGUMENT` for maps that make no sense */
  constructor(spec: DriverSpec, options: LayerIdsOptions) {
    super(spec, options.noteOf);
    this.#options = options;
  }

  /** A layer's own files under the ids of its archive. */
  open(location: LayerLocation): LayerDir {
    const dir = this.#open(location);
    const mappings = this.mappingsOf(location);
    if (isIdentity(mappings)) return dir;
    const { isMark } = this.#options;
    return new MappedDir(dir, { shift: containerShift(mappings), ...(isMark === undefined ? {} : { isMark }) });
  }

  /** Gives a layer's root directory, in which nothing is, to the root of its maps. */
  giveToRoot(location: LayerLocation): void {
    const mappings = this.mappingsOf(location);
    if (isIdentity(mappings)) return;
    const { uid, gid } = rootPair(mappings);
    using tree = this.#open(location);
    tree.setOwner(ROOT, uid, gid);
  }

  /** Lets the root of a layer's container through a directory of the driver's on the way to its tree, by the group. */
  admit(location: LayerLocation, path: string): void {
    admitRoot(this.mappingsOf(location), path);
  }

  /** As {@link LayerIds.admit}, for a directory that all layers have in common. */
  admitAll(path: string): void {
    admitRoot(this.usual.mappings, path);
  }

  /** Gives files that were copied as they are from another layer to the owners under which this one is kept. */
  adopt(location: LayerLocation, from: IdMappings): void {
    const to = this.mappingsOf(location);
    if (sameIdMappings(from, to)) return;
    using tree = this.#openToChange(location);
    const { isMark } = this.#options;
    chownTreeByMaps(tree, { from, to, ...(isMark === undefined ? {} : { isMark }) });
  }

  /**
   * Gives a layer's own files to the owners that other maps ask for, and notes it.
   * @param options what becomes of the layers below, where that changes
   * @throws {StrataError} as {@link IdNotes.changeOwners}
   */
  change(location: LayerLocation, to: IdMappings, options: Pick<ChangeOwnersRequest, "lowers"> = {}): void {
    if (sameIdMappings(this.mappingsOf(location), to)) return;
    using tree = this.#openToChange(location);
    this.changeOwners(location, { tree, to, isMark: this.#options.isMark, ...options });
  }

  #openToChange(location: LayerLocation): RootedDir {
    return this.#options.openToChange?.(location) ?? this.#open(location);
  }

  #open(location: LayerLocation): RootedDir {
    return this.#options.open?.(location) ?? RootedDir.open(this.#options.treeOf(location));
  }
}

function admitRoot(mappings: IdMappings, path: string): void {
  if (isIdentity(mappings)) return;
  using dir = RootedDir.open(path);
  const stat = dir.stat(ROOT);
  const { gid } = rootPair(mappings);
  if (stat !== undefined && stat.gid !== gid) dir.setOwner(ROOT, stat.uid, gid);
}
