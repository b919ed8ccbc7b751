// SPDX-License-Identifier: Apache-2.0
/**
 * Overlay layers whose `diff` is a symlink, to a directory in another store. Containers/storage has the same form for
 * layers of additional stores, and dockerd follows it like the kernel does.
 *
 * The layer's file `outside` says where the symlink must lead. It is the only symlink on the way to a layer's files that
 * is followed, and only where it leads there: whoever opens a layer's files asks {@link diffOf} first.
 *
 * @module
 */
import { StrataError } from "../../../core/errors.ts";
import { writeFileAtomic } from "../../../host/durable.ts";
import {
  directoryExists,
  makeSymlink,
  pathExists,
  readSymlink,
  readText,
  removeTreeAt,
  statPath,
} from "../../../host/files.ts";
import type { LayerFault } from "../../interfaces/layer_upkeep.ts";
import { requirePresent } from "../../parts/outside_tree.ts";

const NOTE_MODE = 0o600;

/**
 * The directory with a layer's own files: in the layer's directory, or outside.
 * @throws {StrataError} `CORRUPT` when a symlink leads elsewhere than was noted, or to nothing
 */
export function diffOf(dir: string): string {
  const diff = diffPath(dir);
  if (statPath(diff)?.type !== "symlink") return diff;
  const outside = readText(notePath(dir));
  if (outside === undefined || readSymlink(diff) !== outside) {
    throw new StrataError(
      "CORRUPT",
      `Cannot use "${diff}": the symlink does not lead where "outside" says; remove the layer and fetch it again`,
      { path: diff },
    );
  }
  requirePresent(outside);
  return outside;
}

/** What a layer stands for, whether or not it is there; `undefined` for a layer with files of its own. */
export function outsideOf(dir: string): string | undefined {
  return readText(notePath(dir));
}

/** Whether anything says that a layer's files are not its own: such a layer is never written to. */
export function isOutside(dir: string): boolean {
  return pathExists(notePath(dir)) || statPath(diffPath(dir))?.type === "symlink";
}

/** Has a layer's directory, which has no `diff`, stand for a directory outside. */
export function standFor(dir: string, outside: string): void {
  writeFileAtomic(notePath(dir), outside, { mode: NOTE_MODE, durability: "none" });
  makeSymlink(diffPath(dir), outside);
}

/** What is wrong with the files of a layer. */
export function diffFaults(dir: string): LayerFault[] {
  const outside = outsideOf(dir);
  const diff = diffPath(dir);
  const stat = statPath(diff);
  if (outside === undefined) {
    if (stat === undefined) {
      return [{ path: pathExists(dir) ? diff : dir, problem: "is missing", mending: "impossible" }];
    }
    return stat.type === "symlink"
      ? [{ path: diff, problem: "leads out of the store, and nothing says what it stands for", mending: "impossible" }]
      : [];
  }
  const mending = stat === undefined || stat.type === "symlink" ? "possible" : "impossible";
  const faults: LayerFault[] = readSymlink(diff) === outside
    ? []
    : [{ path: diff, problem: "does not lead to the directory outside that the layer stands for", mending }];
  if (directoryExists(outside)) return faults;
  const problem = "cannot be reached: the layer's own files lie there, in another store";
  return [...faults, { path: outside, problem, mending: "impossible" }];
}

/** Has the symlink of a layer lead where it must again. */
export function mendOutside(dir: string): void {
  const outside = outsideOf(dir);
  const diff = diffPath(dir);
  if (outside === undefined || readSymlink(diff) === outside) return;
  if (![undefined, "symlink"].includes(statPath(diff)?.type)) return;
  removeTreeAt(diff);
  makeSymlink(diff, outside);
}

function diffPath(dir: string): string {
  return `${dir}/diff`;
}

function notePath(dir: string): string {
  return `${dir}/outside`;
}
