// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting the layers of a home.
 *
 * A writable layer is an overlay mount with its `diff` on top; a committed one is mounted read-only, so that nothing
 * reaches it through its mount (I2). A writable layer without a parent is its `diff`, without any mount, as in Docker.
 *
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { type CacheId, isCacheId } from "../../../core/ids.ts";
import { hasCode, StrataError } from "../../../core/errors.ts";
import { type IdMappings, sameIdMappings } from "../../../core/id_map.ts";
import { syncFileSystemOf } from "../../../host/durable.ts";
import { fromOsError, isOsError } from "../../../host/errno.ts";
import { ensureDir, pathExists, removeTreeAt } from "../../../host/files.ts";
import { fileSystemOf } from "../../../host/fs_info.ts";
import { mountAt, type MountPoint, mountsBelow } from "../../../host/mount_table.ts";
import type { LayerIds } from "../../parts/layer_ids.ts";
import type { LayerLocation } from "../../interfaces/layer_sealer.ts";
import type { GetOptions, LayerTree, StatusRow } from "../../interfaces/proto_driver.ts";
import { removeMountPoint } from "../../parts/layer_directory.ts";
import { mount, type MountRequest, unmount, unmountBelow } from "../../parts/mounting.ts";
import { attempt } from "../../parts/requests.ts";
import { inTurn } from "../../parts/turns.ts";
import { tellProgram } from "../force_mask.ts";
import type { OverlayHome } from "../home.ts";
import { addForm, hasForm, useKernelForm } from "../layer_form.ts";
import { mountByProgram, programMountData, requireUnsplit } from "./mount_program.ts";
import { findLinkName, lowerOf, readLowers, resolveLowers } from "../layout.ts";
import { MAPPED_PREFIX } from "./mapped_home.ts";
import { fitsMountData, type OverlayMount, overlayMountData, parseMountOptions } from "./mount_data.ts";
import type { OverlayOptions } from "../options.ts";
import { switchesFor } from "./probe.ts";
import { isCommitted } from "../seal.ts";
import { diffOf, isOutside } from "../outside/outside_diff.ts";
import { Shifting } from "./shifting.ts";
import { ShortNames, shortNames } from "./short_names.ts";
import { type ShownLayer, ShownLayers } from "./shown_layers.ts";

const MERGED_MODE = 0o700;
/** The option that leaves syncing out. Only writable mounts have it. */
const VOLATILE = "volatile";
const READ_ONLY = "ro";
/** How often it is looked whether a mount for reading has gone, and after how many milliseconds. */
const LOOKS_MAX = 10;
const LOOK_MS = 50;
const WORK = "work";

/** What is to be mounted, and how. */
interface MountedLayer {
  readonly id: CacheId;
  readonly location: LayerLocation;
  readonly lowers: readonly string[];
  readonly access: "read-only" | "writable";
  readonly options: GetOptions;
}

/** The mounts of one home. */
export class OverlayMounts {
  readonly #home: string;
  readonly #ids: LayerIds;
  readonly #options: OverlayOptions;
  readonly #shifting: Shifting;

  constructor({ path, ids, options }: Pick<OverlayHome, "path" | "ids" | "options">) {
    this.#home = path;
    this.#ids = ids;
    this.#options = options;
    this.#shifting = new Shifting(path);
  }

  /** Where {@link OverlayMounts.get} gives a layer's tree. */
  treeOf({ dir }: LayerLocation, access: "writable" | "read-only"): LayerTree {
    const isBare = access === "writable" && readLowers(dir).length === 0 && !hasForm(dir, "override") &&
      !isOutside(dir);
    return isBare ? { path: `${dir}/diff`, kind: "directory" } : { path: `${dir}/merged`, kind: "mount" };
  }

  /**
   * Mounts a layer that is there, unless it is mounted, and gives the path of its tree.
   * @throws {StrataError} for options and stacks that cannot be mounted; nothing is left behind then
   */
  async get(location: LayerLocation, options: GetOptions): Promise<string> {
    const { cacheId: id, dir } = location;
    const access = options.access === "read-only" || isCommitted(dir) ? "read-only" : "writable";
    const { path: merged, kind } = this.treeOf(location, access);
    if (kind === "directory") {
      this.#ids.change(location, options.idMappings ?? this.#ids.mappingsOf(location));
      return merged;
    }
    const layer: MountedLayer = { id, location, lowers: readLowers(dir), access, options };
    for (let tries = 1;; tries++) {
      try {
        return await inTurn(dir, () => this.#mountOnce(merged, layer));
      } catch (error) {
        // Whoever compares layers mounts them for reading, mostly for a moment.
        if (tries === LOOKS_MAX || !hasCode(error, "IN_USE")) throw error;
        await setTimeout(LOOK_MS);
      }
    }
  }

  /** Unmounts a layer; nothing happens when it is not mounted. */
  async put({ dir }: LayerLocation): Promise<void> {
    if (!pathExists(dir)) return;
    const merged = `${dir}/merged`;
    await inTurn(dir, async () => {
      await unmount(merged);
      removeMountPoint(merged);
    });
  }

  /** Unmounts everything below the home. */
  async putAll(): Promise<void> {
    for (const place of await unmountBelow(this.#home)) {
      if (place.endsWith("/merged") || place.startsWith(`${this.#home}/${MAPPED_PREFIX}`)) removeMountPoint(place);
    }
  }

  /** Why layers cannot be mapped by mounts, as a clause; `undefined` when they can. */
  async whyNoShifting(mappings: IdMappings): Promise<string | undefined> {
    if (this.#options.mountProgram !== undefined) return "mounts are made by a program, which cannot map layers";
    return await this.#shifting.refusal(mappings);
  }

  /**
   * Has a mounted layer's files written to its directory, where a mount program may hold them back.
   * @throws {StrataError} `IO` when the program was killed: what it held back is lost
   */
  flush({ cacheId, dir }: LayerLocation): void {
    const merged = `${dir}/merged`;
    if (!mountAt(merged)?.fsType.startsWith("fuse")) return;
    attempt(`read what is written to layer ${cacheId}`, () => syncFileSystemOf(merged));
  }

  /** How mounts are made, for `info`. */
  status(): readonly StatusRow[] {
    const { mountProgram, forceMask } = this.#options;
    return [
      ...(mountProgram === undefined ? [] : [["Mount Program", mountProgram] as const]),
      ...(forceMask === undefined ? [] : [["Force Mask", forceMask.toString(8)] as const]),
    ];
  }

  /** Where trees are mounted that show a layer's own directory. */
  over({ cacheId, dir }: LayerLocation): readonly string[] {
    const link = findLinkName(dir);
    const own = link === undefined ? undefined : lowerOf(link);
    return mountsBelow(this.#home).map(({ mountPoint }) => mountPoint).filter((place) => {
      const mounted = place.slice(this.#home.length + 1).split("/", 1)[0] ?? "";
      if (!isCacheId(mounted)) return false;
      return mounted === cacheId || (own !== undefined && readLowers(`${this.#home}/${mounted}`).includes(own));
    });
  }

  async #mountOnce(merged: string, layer: MountedLayer): Promise<string> {
    const mounted = mountAt(merged);
    if (mounted !== undefined && isServed(mounted)) {
      this.#requireShared(mounted, layer);
      return merged;
    }
    if (mounted !== undefined) await unmount(merged);
    ensureDir(merged, MERGED_MODE);
    try {
      if (this.#options.mountProgram === undefined) this.#useKernelForm(layer);
      await using shown = await this.#show(layer);
      const { idMappings } = layer.options;
      if (layer.access === "writable" && idMappings !== undefined) this.#ids.change(layer.location, idMappings);
      const isBare = layer.lowers.length === 0 && this.#options.mountProgram === undefined;
      await (isBare ? mount(this.#bind(layer, shown.paths)) : this.#mountOverlay(layer, shown.paths));
    } catch (error) {
      removeMountPoint(merged);
      throw fromOsError(error, `mount layer ${layer.id}`);
    }
    return merged;
  }

  /** Makes sure that who wants to write does not get the mount of somebody who reads: a place has one mount. */
  #requireShared({ options, superOptions }: MountPoint, { id, access, options: wanted }: MountedLayer): void {
    if (access === "read-only" || this.#extra(wanted).includes(READ_ONLY)) return;
    if (![...options, ...superOptions].includes(READ_ONLY)) return;
    const message =
      `Cannot mount layer ${id} for writing: it is mounted for reading, or is being compared; unmount it, or wait`;
    throw new StrataError("IN_USE", message, { kind: "layer", name: id, usedBy: ["a mount for reading"] });
  }

  /** The layers of a mount that its user does not write to, under the ids that the user wants to see. */
  async #show({ id, location, lowers, access, options }: MountedLayer): Promise<ShownLayers> {
    const kept = this.#ids.of(location);
    const { idMappings: mappings = kept.mappings } = options;
    const below = resolveLowers(this.#home, lowers);
    const layers: ShownLayer[] = lowers.map((path, i) => {
      return { path, location: { cacheId: below[i]!, dir: `${this.#home}/${below[i]!}` } };
    });
    if (access === "read-only") layers.unshift({ path: `${id}/diff`, location });
    // The kernel follows the symlinks of stand-ins; that they lead where they must is seen before.
    for (const layer of layers) diffOf(layer.location.dir);
    const isUsual = options.idMappings === undefined &&
      ![location, ...layers.map((layer) => layer.location)].some((one) => this.#ids.isNoted(one));
    const isCovered = kept.lowers === "covered" && sameIdMappings(mappings, kept.mappings);
    if (isUsual || isCovered) return ShownLayers.plain(layers);
    const mapper = this.#options.mountProgram === undefined ? "kernel" : "none";
    return await ShownLayers.open({ home: this.#home, ids: this.#ids, layers, mappings, mapper });
  }

  /** What a mount program wrote is put into the form that the kernel reads. */
  #useKernelForm({ location, lowers, access }: MountedLayer): void {
    useKernelForm(location.dir, access);
    for (const lower of resolveLowers(this.#home, lowers)) useKernelForm(`${this.#home}/${lower}`, access);
  }

  /** A layer without others below it needs no overlay. */
  #bind({ id, options }: MountedLayer, [source = `${id}/diff`]: readonly string[]): MountRequest {
    const flags = this.#extra(options).filter((option) => isGeneric(option) && option !== VOLATILE);
    return {
      cwd: this.#home,
      type: "bind",
      source,
      target: `${id}/merged`,
      // Last, since the last of "ro" and "rw" counts, and flags come from users.
      options: [...flags, READ_ONLY].join(),
    };
  }

  async #mountOverlay({ id, access, options }: MountedLayer, shown: readonly string[]): Promise<void> {
    const lowers = shown.length > 0 ? shown : [this.#emptyLower(id)];
    const stack = access === "writable" ? { lowers, upper: { diff: `${id}/diff`, work: `${id}/work` } } : { lowers };
    const extra = this.#extra(options).filter((option) => access === "writable" || option !== VOLATILE);
    const { mountProgram } = this.#options;
    const switches = mountProgram === undefined ? await switchesFor(this.#home) : [];
    const overlay = { ...stack, switches, label: options.mountLabel, extra };
    if (access === "writable") forgetVolatile(`${this.#home}/${id}`);
    if (mountProgram === undefined) return await this.#run(id, overlay);
    if (access === "writable") {
      requireUnsplit(this.#home);
      addForm(`${this.#home}/${id}`, "program");
      if (extra.some((option) => option.startsWith("xattr_permissions="))) tellProgram(`${this.#home}/${id}`);
    }
    // A program refuses to write without an upper directory; the flag is for whoever looks at the mount.
    const flags = access === "writable" ? extra : [...extra, READ_ONLY];
    await mountByProgram({
      program: mountProgram,
      cwd: this.#home,
      target: `${id}/merged`,
      options: programMountData({ ...overlay, extra: flags }),
    });
  }

  /** What a layer without others below it is mounted on, where it cannot be used as it is. */
  #emptyLower(id: CacheId): string {
    for (const name of ["empty", "work"]) ensureDir(`${this.#home}/${id}/${name}`, MERGED_MODE);
    return `${id}/empty`;
  }

  /** From the home, or where the names are too long, from a directory of shorter ones. */
  async #run(id: CacheId, overlay: OverlayMount): Promise<void> {
    const request = { type: "overlay", source: "overlay" } as const;
    if (fitsMountData(overlay)) {
      const data = overlayMountData(overlay);
      return await mount({ ...request, cwd: this.#home, target: `${id}/merged`, options: data });
    }
    // What does not fit even so is refused before anything is made.
    const data = overlayMountData(shortened(overlay));
    using short = new ShortNames(this.#home, overlay.lowers);
    await mount({ ...request, cwd: short.dir, target: `../${id}/merged`, options: data });
  }

  #extra(options: GetOptions): readonly string[] {
    const { forceMask, mountProgram } = this.#options;
    // What the kernel mounts is for reading, and shows the mask.
    const own = forceMask === undefined || mountProgram === undefined ? [] : ["xattr_permissions=2"];
    return [...own, ...this.#options.mountOptions, ...parseMountOptions(options.mountOptions ?? [])];
  }
}

/**
 * Takes away the mark of a volatile mount, which would forbid every further mount of the layer: it tells of a crash of
 * the machine as well as of an ordinary end, and whoever asked for a volatile mount has accepted both.
 */
function forgetVolatile(dir: string): void {
  // The kernel makes a directory of the same name in the one that it is given.
  removeTreeAt([dir, WORK, WORK, "incompat", VOLATILE].join("/"));
}

/**
 * Whether a mount shows a tree. That of a mount program that was killed stays, and every call there fails that asks the
 * program: for the file system itself, since what is known of files the kernel tells by itself for a while.
 */
function isServed({ fsType, mountPoint }: MountPoint): boolean {
  if (!fsType.startsWith("fuse")) return true;
  try {
    fileSystemOf(mountPoint);
    return true;
  } catch (error) {
    if (isOsError(error, "ENOTCONN", "ECONNABORTED")) return false;
    throw error;
  }
}

/** Whether an option is a flag that every file system takes. */
function isGeneric(option: string): boolean {
  return !option.includes("=");
}

/** The same mount as seen from a directory of {@link ShortNames}. */
function shortened(overlay: OverlayMount): OverlayMount {
  const lowers = shortNames(overlay.lowers.length);
  if (overlay.upper === undefined) return { ...overlay, lowers };
  const { diff, work } = overlay.upper;
  return { ...overlay, lowers, upper: { diff: `../${diff}`, work: `../${work}` } };
}
