// SPDX-License-Identifier: Apache-2.0
/**
 * All that a store and its further roots hold, as users list it: records, and what no record stands for. Docker's roots have
 * no records at all, and the layers of images need none.
 *
 * Each root's directories are listed once. Of the layers, only those without a record have their own files read.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { hasCode } from "../core/errors.ts";
import { chainError, findChainFaults } from "../metadata/chain.ts";
import { asStrataError, type Finding } from "../metadata/finding.ts";
import { layerFinding } from "../metadata/layer_findings.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { MountRecord } from "../metadata/mounts.ts";
import { type CatalogEntry, entriesOf, LayersThere } from "./catalog/entry.ts";
import { allRecords } from "./catalog/queries.ts";
import type { StoreContext } from "./context.ts";
import type { ReadingContext } from "./reading.ts";
import type { ReadOnlyRoot } from "./roots/read_only_root.ts";

/** A layer, and where it lies. */
export interface PlacedLayer {
  /** What is recorded of it. */
  readonly layer: LayerRecord;
  /** The root that it lies in, if that is only read; absent: the store's own. */
  readonly root?: string;
}

/** A writable layer, and where it lies. */
export interface PlacedMount {
  /** What is recorded of it. */
  readonly mount: MountRecord;
  /** The root that it lies in, if that is only read; absent: the store's own. */
  readonly root?: string;
}

/** What there is at one moment. The store's own comes first, then what lies in further roots, in the order of their lookup. */
export interface StoreContents {
  /** The catalog's records, as {@link Catalog.entries} gives them. */
  readonly entries: readonly CatalogEntry[];
  /** Layers for which none of the records stands. Each ChainID comes once, where it is found first. */
  readonly layers: readonly PlacedLayer[];
  /** Writable layers, those with a record included. */
  readonly mounts: readonly PlacedMount[];
  /** What cannot be read or used: records, layers for which none stands, writable layers. */
  readonly findings: readonly Finding[];
}

/** Looks at the store and at its further roots; nothing is changed. */
export function contentsOf(context: StoreContext): StoreContents {
  const { found, findings, furtherFindings } = allRecords(context);
  const there = new LayersThere();
  const entries = entriesOf(context, found, there);
  const listed = new Set<ChainId>();
  for (const { target, missing } of entries) {
    if (target.kind === "layer" && missing !== true) listed.add(target.chainId);
  }
  const own = contentsIn(context, there.in(context), listed);
  const further = context.readOnlyRoots.map((root) => furtherContents(root, there, listed));
  return {
    entries,
    layers: [...own.layers.map((layer) => ({ layer })), ...further.flatMap(({ layers }) => layers)],
    mounts: [...own.mounts.map((mount) => ({ mount })), ...further.flatMap(({ mounts }) => mounts)],
    findings: [...findings, ...own.findings, ...furtherFindings, ...further.flatMap((each) => each.findings)],
  };
}

/** What no record stands for in one root, and its writable layers. */
interface RootContents<L = LayerRecord, M = MountRecord> {
  readonly layers: readonly L[];
  readonly mounts: readonly M[];
  readonly findings: readonly Finding[];
}

/** A root that cannot be listed hides no other. */
function furtherContents(
  { path: root, reading }: ReadOnlyRoot,
  there: LayersThere,
  listed: Set<ChainId>,
): RootContents<PlacedLayer, PlacedMount> {
  try {
    const { layers, mounts, findings } = contentsIn(reading, there.in(reading), listed);
    return {
      layers: layers.map((layer) => ({ layer, root })),
      mounts: mounts.map((mount) => ({ mount, root })),
      findings,
    };
  } catch (error) {
    const reason = asStrataError(error, `list the layers in "${root}"`);
    return { layers: [], mounts: [], findings: [layerFinding("broken", root, { path: root, error: reason })] };
  }
}

function contentsIn(reading: ReadingContext, there: ReadonlySet<ChainId>, listed: Set<ChainId>): RootContents {
  const { layers, findings } = unrecordedIn(reading, there, listed);
  const { mounts, broken } = reading.mounts.list();
  // A damaged layer hides the same one in the roots that come after, as it does when it is asked for.
  for (const chainId of there) listed.add(chainId);
  return { layers, mounts: [...mounts.values()], findings: [...findings, ...broken] };
}

/** The layers there that are not listed yet, and those of them that cannot be used. */
function unrecordedIn(
  { layerDb }: ReadingContext,
  there: ReadonlySet<ChainId>,
  listed: ReadonlySet<ChainId>,
): Pick<RootContents, "layers" | "findings"> {
  const bare = [...there].filter((chainId) => !listed.has(chainId));
  if (bare.length === 0) return { layers: [], findings: [] };
  const layers = new Map<ChainId, LayerRecord>();
  const findings: Finding[] = [];
  // Of those that are listed it is enough that they are there.
  const usable = new Map<ChainId, { readonly parent?: ChainId }>();
  for (const chainId of there) if (listed.has(chainId)) usable.set(chainId, {});
  const refuse = (chainId: ChainId, reason: unknown): void => {
    const error = asStrataError(reason, `read layer ${chainId}`);
    findings.push(layerFinding("broken", chainId, { path: layerDb.tarSplitPath(chainId), error }));
  };
  for (const chainId of bare) {
    try {
      const record = layerDb.read(chainId);
      layers.set(chainId, record);
      usable.set(chainId, record);
    } catch (error) {
      // What was withdrawn since the directory was listed is gone, not broken.
      if (!hasCode(error, "NOT_FOUND")) refuse(chainId, error);
    }
  }
  for (const [chainId, fault] of findChainFaults(usable)) {
    layers.delete(chainId);
    refuse(chainId, chainError(chainId, fault));
  }
  return { layers: [...layers.values()], findings };
}
