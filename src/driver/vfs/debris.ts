// SPDX-License-Identifier: Apache-2.0
/**
 * What lies in a home of the vfs driver and belongs to no layer.
 *
 * @module
 */
import { pathExists } from "../../host/files.ts";
import type { Debris } from "../interfaces/layer_upkeep.ts";
import { findUnpackedDiffs } from "../naive/apply_diff.ts";
import { findLayers } from "../parts/layer_directory.ts";
import { findUnfinished } from "../parts/unfinished.ts";
import { NOTES } from "./home.ts";

/** Layers that are not whole, notes about such as are not there, and diffs that a killed process was taking in. */
export function findDebris(home: string): Debris[] {
  return [
    ...findUnfinished(`${home}/dir`),
    ...NOTES.flatMap((notes) => strayNotes(home, notes)),
    ...findUnpackedDiffs(home),
  ];
}

function strayNotes(home: string, notes: string): Debris[] {
  return findLayers(`${home}/${notes}`).filter(({ cacheId }) => !pathExists(`${home}/dir/${cacheId}`)).map(
    ({ cacheId, modifiedMs }) => {
      const path = `${home}/${notes}/${cacheId}`;
      return { path, what: "a note about a writable layer", modifiedMs, use: "none", cacheId };
    },
  );
}
