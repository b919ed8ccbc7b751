// SPDX-License-Identifier: Apache-2.0
/**
 * Looking at all of a store for what is not as it should be. Nothing is changed, and what merely looks odd is not called
 * damage: garbage that a crash left is information, and gc's to remove.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import type { ChainId } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import type { LayerLocation } from "../driver/interfaces/layer_sealer.ts";
import { pathExists } from "../host/files.ts";
import type { Finding } from "../metadata/finding.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { chainOf } from "../metadata/chain.ts";
import type { StoreContext } from "./context.ts";
import { checkCatalog } from "./fsck_catalog.ts";
import { AGAIN, damage, removal, REPAIR, strayFile } from "./fsck_finding.ts";
import { planGc } from "./gc_plan.ts";
import { GC_MIN_AGE_MS } from "./gc.ts";
import { readSnapshot } from "./gc_snapshot.ts";
import { verify } from "./verify.ts";

/** What is wrong. */
export type FsckCode =
  | "layer-record-damaged"
  | "layer-below-missing"
  | "layer-notes-damaged"
  | "layer-data-missing"
  | "layer-files-inconsistent"
  | "tar-split-missing"
  | "layer-content-damaged"
  | "writable-layer-damaged"
  | "writable-layer-data-missing"
  | "writable-layer-below-missing"
  | "catalog-record-damaged"
  | "catalog-record-dangling"
  | "catalog-view-missing"
  | "data-item-damaged"
  | "name-inconsistent"
  | "image-damaged"
  | "image-incomplete"
  | "stray-file"
  | "garbage";

/**
 * How bad it is. `damage`: something was lost; `repairable`: nothing is lost, and {@link FsckFinding.repair} puts it right;
 * `info`: everything works.
 */
export type FsckSeverity = "damage" | "repairable" | "info";

/** What may put it right: a repair that loses nothing, one that gives up what is damaged, or nothing here. */
export type FsckRepair = "safe" | "forced" | "none";

/** One thing that is not as it should be. */
export interface FsckFinding {
  /** What kind of thing is wrong, for programs. */
  readonly code: FsckCode;
  /** How bad it is. */
  readonly severity: FsckSeverity;
  /** Which one: a ChainID, a name, an id, a path. */
  readonly subject: string;
  /** The file or directory at fault. */
  readonly path: string;
  /** What is wrong, for people. */
  readonly problem: string;
  /** What helps, for people. */
  readonly remedy: string;
  /** Whether fsck can put it right, and at what price. */
  readonly repair: FsckRepair;
}

/** How deep to look. */
export interface CheckOptions {
  /** `records` (the default) looks at records and directories; `contents` rebuilds every layer's archive, and reads data items, as well. */
  readonly depth?: "records" | "contents";
  readonly signal?: AbortSignal | undefined;
}

/** All findings, layers first. */
export async function findDamage(context: StoreContext, options: CheckOptions = {}): Promise<FsckFinding[]> {
  const { layers, broken, findings } = context.layerDb.list();
  return [
    ...broken.map((finding) => brokenLayer(context, finding)),
    ...findings.map(layerFinding),
    ...[...layers.values()].flatMap((record) => checkLayer(context, record, layers)),
    ...options.depth === "contents" ? await checkContents(context, [...layers.keys()], options.signal) : [],
    ...checkWritable(context, layers),
    ...await checkCatalog(context, layers, options),
    ...checkImages(context, layers),
    ...garbage(context),
  ];
}

type Layers = ReadonlyMap<ChainId, LayerRecord>;

/** The stack below a layer, top first. */
export function locationsBelow(context: StoreContext, parent: ChainId | undefined, layers: Layers): LayerLocation[] {
  const chain = parent === undefined ? [] : chainOf(parent, layers);
  return chain.map((id) => context.driver.locate(layers.get(id)!.cacheId));
}

/** A record that is damaged itself, or one that is sound and stands on nothing. */
function brokenLayer({ layerDb }: StoreContext, finding: Finding & { readonly chainId: ChainId }): FsckFinding {
  const { path, error, chainId } = finding;
  const own = { subject: chainId, path, problem: error.message };
  if (layerDb.findSound(chainId) === undefined) {
    return { ...own, code: "layer-record-damaged", severity: "damage", remedy: AGAIN, repair: "forced" };
  }
  const remedy = "register the missing layer below again; this one is whole then";
  return { ...own, code: "layer-below-missing", severity: "damage", remedy, repair: "none" };
}

function layerFinding({ severity, subject, path, error }: Finding): FsckFinding {
  const own = { subject, path, problem: error.message, repair: "none" } as const;
  if (severity === "stray") return strayFile(subject, own);
  return { ...own, code: "layer-notes-damaged", severity: "info", remedy: AGAIN };
}

function checkLayer(context: StoreContext, record: LayerRecord, layers: Layers): FsckFinding[] {
  const { chainId, cacheId, parent } = record;
  const tarSplit = context.layerDb.tarSplitPath(chainId);
  const missing = pathExists(tarSplit)
    ? []
    : [damage("tar-split-missing", chainId, { path: tarSplit, problem: "the file is missing", remedy: AGAIN })];
  return [
    ...missing,
    ...checkData(context, { cacheId, subject: chainId, below: locationsBelow(context, parent, layers) }),
  ];
}

interface DataCheck {
  readonly cacheId: CacheId;
  readonly subject: string;
  readonly below: readonly LayerLocation[];
}

function checkData({ driver }: StoreContext, { cacheId, subject, below }: DataCheck): FsckFinding[] {
  return driver.check(cacheId, below).map(({ path, problem, mending }) => {
    if (mending === "impossible") return damage("layer-data-missing", subject, { path, problem, remedy: AGAIN });
    const own = { subject, path, problem, remedy: REPAIR, repair: "safe" } as const;
    return { code: "layer-files-inconsistent", severity: "repairable", ...own };
  });
}

async function checkContents(
  context: StoreContext,
  chainIds: readonly ChainId[],
  signal: AbortSignal | undefined,
): Promise<FsckFinding[]> {
  const atOnce = pLimit(availableParallelism());
  const options = signal === undefined ? {} : { signal };
  const results = await Promise.all(chainIds.map((id) => atOnce(() => verify(context, id, options))));
  return results.flatMap((result) => {
    if (result.state === "ok") return [];
    const { chainId, path, error } = result;
    return [damage("layer-content-damaged", chainId, { path, problem: error.message, remedy: AGAIN })];
  });
}

function checkWritable(context: StoreContext, layers: Layers): FsckFinding[] {
  const { mounts, broken } = context.mounts.list();
  const damaged = broken.map(({ subject, path, error }) =>
    damage("writable-layer-damaged", subject, { path, problem: error.message, remedy: removal(subject) })
  );
  const sound = [...mounts.values()].flatMap(({ name, mountId, initId, parent }) => {
    if (parent !== undefined && !layers.has(parent)) {
      const path = context.layout.mountDir(name);
      const problem = `the layer ${parent} below it is missing or damaged`;
      return [damage("writable-layer-below-missing", name, { path, problem, remedy: "register that layer again" })];
    }
    const below = locationsBelow(context, parent, layers);
    const init = initId === undefined ? [] : [context.driver.locate(initId)];
    const checks = [
      ...init.flatMap(({ cacheId }) => checkData(context, { cacheId, subject: name, below })),
      ...checkData(context, { cacheId: mountId, subject: name, below: [...init, ...below] }),
    ];
    return checks.map((finding) =>
      finding.code === "layer-data-missing"
        ? { ...finding, code: "writable-layer-data-missing" as const, remedy: removal(name) }
        : finding
    );
  });
  return [...damaged, ...sound];
}

function checkImages({ images, layout }: StoreContext, layers: Layers): FsckFinding[] {
  const listing = images.list();
  const damaged = listing.findings.map(({ severity, subject, path, error }): FsckFinding => {
    const own = { path, problem: error.message };
    return severity === "stray"
      ? strayFile(subject, own)
      : damage("image-damaged", subject, { ...own, remedy: "load the image again" });
  });
  const incomplete = listing.images.flatMap(({ imageId, chainId }) => {
    if (chainId === undefined || layers.has(chainId)) return [];
    const problem = `its layers up to ${chainId} are not all here`;
    const path = layout.imageConfigPath(imageId);
    return [damage("image-incomplete", imageId, { path, problem, remedy: "load the image again" })];
  });
  return [...damaged, ...incomplete];
}

function garbage(context: StoreContext): FsckFinding[] {
  const plan = planGc(readSnapshot(context), { nowMs: Date.now(), minAgeMs: GC_MIN_AGE_MS });
  // Names are reported as such.
  return plan.filter(({ kind }) => kind !== "name").map(({ kind, subject, reason }) => ({
    code: "garbage",
    severity: "info",
    subject,
    path: subject,
    problem: `it is garbage (${kind}): ${reason}`,
    remedy: `run "strata gc"`,
    repair: "none",
  }));
}
