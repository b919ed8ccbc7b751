// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are being made, under another name beside the others: they get their own when they are whole (I3), so that
 * what a killed process leaves is no layer. Only one process at a time makes a layer of a given id.
 *
 * @module
 */
import { basename, dirname } from "node:path";
import { isCacheId } from "../../core/ids.ts";
import { listNames } from "../../host/files.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { Debris } from "../interfaces/layer_upkeep.ts";
import { modifiedMsOf } from "./layer_directory.ts";

const PREFIX = ".unfinished-";

/** Where a layer lies until it is whole. */
export function unfinishedAt({ cacheId, dir }: LayerLocation): LayerLocation {
  return { cacheId, dir: `${dirname(dir)}/${PREFIX}${basename(dir)}` };
}

/** The unfinished layers in a directory of layers. Some may be in the making just now. */
export function findUnfinished(layers: string): Debris[] {
  return listNames(layers).flatMap((name) => {
    const cacheId = name.slice(PREFIX.length);
    if (!name.startsWith(PREFIX) || !isCacheId(cacheId)) return [];
    const path = `${layers}/${name}`;
    const modifiedMs = modifiedMsOf(path);
    return modifiedMs === undefined ? [] : [{ path, what: "an unfinished layer", modifiedMs, use: "none", cacheId }];
  });
}
