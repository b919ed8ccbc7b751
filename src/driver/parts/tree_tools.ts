// SPDX-License-Identifier: Apache-2.0
/**
 * What drivers that keep layers as directories do with them, for authors who have nothing but paths.
 *
 * @module
 */
import type { Ownership } from "../../changeset/change.ts";
import { type ChownReport, type ChownRequest, chownTreeByMaps } from "../../changeset/chown_tree.ts";
import { copyTree } from "../../host/copy_tree.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { directoryUsage } from "./directory_size.ts";
import { makeDirectory } from "./layer_directory.ts";
import type { DiskUsage } from "../interfaces/proto_driver.ts";
import { attempt } from "./requests.ts";

/** How a directory is copied. */
export interface CopyDirectoryOptions {
  /** Whose the copy is; see {@link DriverCapabilities.ownership}. */
  readonly ownership: Ownership;
  /** Called before every object. What it throws ends the copy. */
  readonly onEntry?: (() => void) | undefined;
}

/** How a directory is given to other owners. */
export type ChownPathOptions = Pick<ChownRequest, "from" | "to" | "unmapped">;

const LAYER_MODE = 0o755;

/**
 * Makes a layer's directory with exactly the mode that layers have.
 * @throws {StrataError} `IO` when the name is taken
 */
export function makeLayerDirectory(path: string): void {
  attempt(`make "${path}"`, () => makeDirectory(path, LAYER_MODE));
}

/**
 * Copies a directory with all that layers have: hard links, holes, owners, modes, times to the nanosecond, extended
 * attributes and devices; blocks are shared where the file system can. The target is made.
 * @throws {StrataError} what the system reports; what was copied until then stays
 */
export function copyDirectory(from: string, to: string, { ownership, onEntry = () => {} }: CopyDirectoryOptions): void {
  attempt(`copy "${from}"`, () => {
    makeDirectory(to, LAYER_MODE);
    using source = RootedDir.open(from);
    using target = RootedDir.open(to);
    copyTree(source, target, { ownership: ownership === "self" ? "self" : "archive", onEntry });
  });
}

/**
 * Gives a directory, with all that is in it and on a mount as well as on disk, to the owners that other id maps ask for. Setuid,
 * setgid, capabilities, access lists, hard links and times stay. Nothing may write there meanwhile.
 * @throws {StrataError} `INVALID_ARGUMENT` for an owner that the maps do not hold, before anything is changed; later what the
 *   system reports, and the tree is then half changed
 */
export function chownPathByMaps(path: string, { from, to, unmapped = "refuse" }: ChownPathOptions): ChownReport {
  return attempt(`map the owners of "${path}"`, () => {
    using tree = RootedDir.open(path);
    return chownTreeByMaps(tree, { from, to, unmapped });
  });
}

/**
 * What a directory occupies, each inode counted once.
 * @throws {StrataError} what the system reports
 */
export function diskUsageOf(path: string): DiskUsage {
  return attempt(`measure "${path}"`, () => {
    using tree = RootedDir.open(path);
    return directoryUsage(tree);
  });
}
