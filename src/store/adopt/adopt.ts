// SPDX-License-Identifier: Apache-2.0
/**
 * Adopting: layers of another root become the store's own, with files of their own, and the records that stand for them.
 * The other root is only read.
 *
 * Each record comes as a whole or not at all, and one that cannot come keeps no other from coming.
 *
 * @module
 */
import { hasCode, StrataError } from "../../core/errors.ts";
import { fromOsError } from "../../host/errno.ts";
import { directoryExists, realPath } from "../../host/files.ts";
import { asStrataError } from "../../metadata/finding.ts";
import { throwIfAborted } from "../../stream/signal.ts";
import type { StoreContext } from "../context.ts";
import { recogniseContainersRoot } from "../roots/containers_root.ts";
import { openRoots } from "../roots/open_roots.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";
import { isStrataRoot } from "../roots/strata_root.ts";
import { adoptRecord } from "./adopt_record.ts";
import type { AdoptOptions, AdoptReport, AdoptStep } from "./adopt_report.ts";
import { allCandidates, candidatesOf, type Found } from "./candidates.ts";
import { LayerCopier } from "./layer_copier.ts";

export type { AdoptOptions, AdoptReport } from "./adopt_report.ts";

/**
 * Adopts records of another root.
 * @throws {StrataError} `NOT_FOUND` when there is no such root, or it has nothing of that name, `AMBIGUOUS`, `INVALID_ARGUMENT`
 *   for the store's own root, `NOT_SUPPORTED` for layers of a driver that this package does not have; what is no record's
 *   fault: `NO_SPACE`, `LOCKED`, `ABORTED`
 */
export async function adopt(
  context: StoreContext,
  { from, refs, onStep = () => {}, signal, ...options }: AdoptOptions,
): Promise<AdoptReport> {
  context.dockerd.requireAbsent();
  const root = await openRoot(context, from);
  const found = refs === "all" ? allCandidates(root) : candidatesOf(root, refs);
  const copier = new LayerCopier(context, root, { ...options, ...(signal === undefined ? {} : { signal }) });
  const steps: AdoptStep[] = [];
  for (const each of found) {
    throwIfAborted(signal);
    const step = await stepOf(context, each, { root, copier, signal });
    steps.push(step);
    onStep(step);
  }
  const { bytesShared, bytesCopied } = copier;
  return {
    adopted: steps.flatMap((step) => step.kind === "adopted" ? withoutKind(step) : []),
    present: steps.flatMap((step) => step.kind === "present" ? withoutKind(step) : []),
    skipped: steps.flatMap((step) => step.kind === "skipped" ? withoutKind(step) : []),
    failed: steps.flatMap((step) => step.kind === "failed" ? withoutKind(step) : []),
    bytesShared,
    bytesCopied,
  };
}

async function stepOf(
  context: StoreContext,
  found: Found,
  request: Parameters<typeof adoptRecord>[2],
): Promise<AdoptStep> {
  if (found.kind !== "candidate") return found;
  const { candidate } = found;
  try {
    return await adoptRecord(context, candidate, request);
  } catch (error) {
    // These are no single record's: the next one would fail of them as well.
    if (hasCode(error, "ABORTED") || hasCode(error, "NO_SPACE") || hasCode(error, "LOCKED")) throw error;
    return { kind: "failed", id: candidate.id, error: asStrataError(error, `adopt "${candidate.id}"`) };
  }
}

/** One that the store reads from already, or another. */
async function openRoot({ layout, readOnlyRoots, driver, pool }: StoreContext, from: string): Promise<ReadOnlyRoot> {
  const path = realRoot(from);
  if (path === layout.root) {
    const message = `Cannot adopt from "${path}": it is the store's own root; give another one`;
    throw new StrataError("INVALID_ARGUMENT", message, { argument: "from" });
  }
  requireStore(path);
  const known = readOnlyRoots.find((root) => root.path === path);
  if (known !== undefined) return known;
  // Stacks of containers/storage may go on in the others.
  const paths = [path, ...readOnlyRoots.map((root) => root.path)];
  const [root] = await openRoots({ paths, ownRoot: layout.root, driver: driver.spec.name, pool });
  if (root === undefined) throw new Error(`Cannot adopt from "${path}": opening it gave no root`);
  return root;
}

function realRoot(from: string): string {
  try {
    return directoryExists(from) ? realPath(from) : from;
  } catch (error) {
    throw fromOsError(error, `adopt from "${from}"`);
  }
}

function requireStore(path: string): void {
  if (isStrataRoot(path) || recogniseContainersRoot(path)) return;
  const message = `Cannot adopt from "${path}": it is no root of Strata, Docker or containers/storage; check the path`;
  throw new StrataError("NOT_FOUND", message, { kind: "store", ref: path });
}

function withoutKind<S extends { readonly kind: string }>({ kind: _kind, ...step }: S): Omit<S, "kind"> {
  return step;
}
