// SPDX-License-Identifier: Apache-2.0
/**
 * `strata rm`.
 *
 * @module
 */
import type { DeletedLayer, LayerStore, RecordId } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { loadStrata, type Strata } from "../strata.ts";

/** Removes records and writable layers. */
export const rm: CommandSpec = {
  name: "rm",
  summary: "Remove layers, and print the ChainIDs of what went with them",
  description:
    "A layer's record goes; the layer itself, and those below it, go when nothing else needs them. A ChainID\n" +
    "means all records of its layer. A writable layer goes with all its changes.",
  arguments: [{ name: "REF", summary: "a layer or a writable layer", count: "many" }],
  options: [{ name: "force", summary: "also when something needs the layer: unmount, or leave it without a record" }],
  examples: [
    { line: "strata rm changed", does: "a layer by its name" },
    { line: "strata rm --force work", does: "a writable layer, mounted or not" },
  ],
  exitCodes: [EXIT.notFound],
  run,
};

/** One removal, decided before any is made. */
type Removal =
  | { readonly kind: "records"; readonly ids: readonly RecordId[] }
  | { readonly kind: "writable"; readonly name: string }
  | { readonly kind: "bare layer"; readonly ref: string };

async function run(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  const strata = await loadStrata();
  await using store = await invocation.openStore();
  const removals = input.words("REF").map((ref) => removalOf(strata, store, ref));
  const force = input.flag("force");
  const deleted: DeletedLayer[] = [];
  const print = (): Promise<void> =>
    output.lines({ key: "deleted", items: deleted, line: ({ chainId }) => chainId, document: documentOf });
  try {
    for (const removal of removals) deleted.push(...await remove(store, removal, { strata, force }));
  } catch (error) {
    // What went before the failure has gone.
    if (deleted.length > 0) await print();
    throw error;
  }
  await print();
}

function removalOf(strata: Strata, store: LayerStore, ref: string): Removal {
  try {
    const target = store.resolve(ref);
    const ids = target.recordIds.filter((id) => isThere(strata, store, id));
    if (ids.length > 0) return { kind: "records", ids };
    requireOwn(strata, store, ref);
    return target.kind === "writable" ? { kind: "writable", name: target.record.name } : { kind: "bare layer", ref };
  } catch (error) {
    if (!strata.hasCode(error, "CORRUPT") && !strata.hasCode(error, "NOT_FOUND")) throw error;
    const id = damagedRecord(strata, store, ref);
    if (id !== undefined) return { kind: "records", ids: [id] };
    const damaged = store.rwLayers().broken.find(({ subject }) => subject === ref);
    if (damaged === undefined) throw error;
    return { kind: "writable", name: damaged.subject };
  }
}

/** What a crash left of a record that never came still names it. */
function isThere({ hasCode }: Strata, store: LayerStore, id: RecordId): boolean {
  try {
    return store.catalog.get(id).id === id;
  } catch (error) {
    return hasCode(error, "CORRUPT");
  }
}

/** For records, the catalog itself refuses. */
function requireOwn({ StrataError }: Strata, store: LayerStore, ref: string): void {
  const { root } = store.inspect(ref);
  if (root === undefined) return;
  const message =
    `Cannot remove "${ref}": it lies in "${root}", which is only read; remove it there, with its own tool`;
  throw new StrataError("NOT_PERMITTED", message, { path: root });
}

/** A record that is damaged itself, or whose layer is: it must be possible to get rid of it. */
function damagedRecord({ parseRecordId }: Strata, store: LayerStore, ref: string): RecordId | undefined {
  const { records, findings } = store.catalog.list();
  const record = records.find(({ id, names }) => id === ref || names.includes(ref));
  if (record !== undefined) return record.id;
  const damaged = findings.some(({ kind, severity, subject }) =>
    kind === "record" && severity === "broken" && subject === ref
  );
  return damaged ? parseRecordId(ref) : undefined;
}

interface RemoveContext {
  readonly strata: Strata;
  readonly force: "given" | "absent";
}

async function remove(store: LayerStore, removal: Removal, context: RemoveContext): Promise<DeletedLayer[]> {
  const { force } = context;
  switch (removal.kind) {
    case "records":
      return await removeRecords(store, removal.ids, context);
    case "writable":
      return await store.releaseRWLayer(removal.name, { whenMounted: force === "given" ? "unmount" : "refuse" });
    case "bare layer":
      return await removeBare(store, removal.ref, context);
  }
}

async function removeRecords(
  store: LayerStore,
  ids: readonly RecordId[],
  { force }: RemoveContext,
): Promise<DeletedLayer[]> {
  const deleted: DeletedLayer[] = [];
  for (const id of ids) {
    deleted.push(...await store.catalog.delete(id, { whenUsed: force === "given" ? "remove" : "refuse" }));
  }
  return deleted;
}

async function removeBare(store: LayerStore, ref: string, { strata }: RemoveContext): Promise<DeletedLayer[]> {
  const inspection = store.inspect(ref);
  if (inspection.kind === "layer" && inspection.usedBy.length > 0) {
    const { chainId } = inspection.layer;
    throw new strata.StrataError(
      "IN_USE",
      `Cannot remove layer ${chainId}: ${inspection.usedBy.join(", ")} still needs it; remove that first`,
      { kind: "layer", name: chainId, usedBy: inspection.usedBy },
    );
  }
  return await store.release(store.get(store.resolveChain(ref)));
}

function documentOf({ chainId, diffId, sizeBytes, diffSizeBytes }: DeletedLayer): object {
  return { chainId, diffId, size: sizeBytes, diffSize: diffSizeBytes };
}
