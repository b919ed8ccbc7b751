// SPDX-License-Identifier: Apache-2.0
/**
 * What is wrong in a home of the overlay driver, as far as its own files tell. Nothing is changed, and nothing that Docker
 * does otherwise is called wrong: a `committed` that is missing, or a `work` directory.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { listNames, pathExists } from "../../host/files.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { Debris, LayerFault } from "../interfaces/layer_upkeep.ts";
import { APPLY_PREFIX } from "../naive/apply_diff.ts";
import { findLayers, modifiedMsOf } from "../parts/layer_directory.ts";
import { findUnfinished } from "../parts/unfinished.ts";
import {
  findLinked,
  findLinkName,
  type LinkName,
  LINKS,
  listLinkNames,
  lowerOf,
  readLinksBelow,
  readLowers,
} from "./layout.ts";
import { MAPPED_PREFIX } from "./mounting/mapped_home.ts";
import { PROBE_PREFIX } from "./mounting/probe.ts";
import { SHORT_NAMES_PREFIX } from "./mounting/short_names.ts";
import { diffFaults } from "./outside/outside_diff.ts";
import { STAND_IN_PREFIX } from "./outside/stand_ins.ts";

/** Directories of a home that are there for a moment. */
const PASSING = [
  { prefix: PROBE_PREFIX, what: "an unfinished trial of the kernel's overlayfs" },
  { prefix: MAPPED_PREFIX, what: "a mapped home for a mount that was not made" },
  { prefix: APPLY_PREFIX, what: "an unfinished diff" },
  { prefix: SHORT_NAMES_PREFIX, what: "names for a mount that was not made" },
  { prefix: STAND_IN_PREFIX, what: "an unfinished layer for one of another store" },
];

/** What killed processes leave: layers that are not whole, short names that lead to none, and directories for a moment. */
export function findDebris(home: string): Debris[] {
  const links = listLinkNames(home).filter((link) => !leadsToLayer(home, link));
  const passing = listNames(home).flatMap((name) =>
    PASSING.filter(({ prefix }) => name.startsWith(prefix)).map(({ what }) => ({ name, what }))
  );
  return [
    ...findUnfinished(home),
    ...links.flatMap((link) => debrisAt(`${home}/${lowerOf(link)}`, { what: "a short name of no layer", use: "none" })),
    ...passing.flatMap(({ name, what }) => debrisAt(`${home}/${name}`, { what, use: "momentary" })),
  ];
}

/** What of one layer's directory is missing or disagrees with the others. */
export function findFaults(
  home: string,
  { cacheId, dir }: LayerLocation,
  parents: readonly LayerLocation[],
): LayerFault[] {
  const faults = diffFaults(dir);
  if (faults.some(({ mending }) => mending === "impossible")) return faults;
  return [...faults, ...linkFaults(home, { cacheId, dir }), ...lowerFaults(dir, parents)];
}

/** The layers whose short names a directory states, also where the name's symlink is lost. */
export function findNeeded(home: string, dir: string): CacheId[] {
  const links = readLinksBelow(dir);
  return links.flatMap((link) => findLinked(home, link) ?? findNamed(home, link) ?? []);
}

/** A short name that leads to a layer, whatever the layer's directory says. */
export function findLinkTo(home: string, id: CacheId): LinkName | undefined {
  return listLinkNames(home).find((link) => findLinked(home, link) === id);
}

function findNamed(home: string, link: LinkName): CacheId | undefined {
  return findLayers(home).find(({ cacheId }) => findLinkName(`${home}/${cacheId}`) === link)?.cacheId;
}

function linkFaults(home: string, { cacheId, dir }: LayerLocation): LayerFault[] {
  const link = findLinkName(dir);
  if (link === undefined) return [{ path: `${dir}/link`, problem: "states no short name", mending: "possible" }];
  if (findLinked(home, link) === cacheId) return [];
  return [{ path: `${home}/${LINKS}/${link}`, problem: "does not lead to the layer", mending: "possible" }];
}

/** Parents whose own names are lost are reported as such, and not once more for each layer above. */
function lowerFaults(dir: string, parents: readonly LayerLocation[]): LayerFault[] {
  const links = parents.flatMap((parent) => findLinkName(parent.dir) ?? []);
  if (links.length < parents.length) return [];
  const path = `${dir}/lower`;
  const expected = links.map(lowerOf).join(":");
  return lowersAsText(dir) === expected
    ? []
    : [{ path, problem: "does not name the layers that lie below by the records", mending: "possible" }];
}

function lowersAsText(dir: string): string | undefined {
  try {
    return readLowers(dir).join(":");
  } catch {
    return undefined; // It differs, in whatever way.
  }
}

function leadsToLayer(home: string, link: LinkName): boolean {
  const id = findLinked(home, link);
  return id !== undefined && pathExists(`${home}/${id}`);
}

function debrisAt(path: string, kind: Pick<Debris, "what" | "use">): Debris[] {
  const modifiedMs = modifiedMsOf(path);
  return modifiedMs === undefined ? [] : [{ ...kind, path, modifiedMs }];
}
