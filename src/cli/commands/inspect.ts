// SPDX-License-Identifier: Apache-2.0
/**
 * `strata inspect`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import type { CatalogEntry, Inspection, LayerStore, RecordId } from "../../../mod.ts";

/** Prints everything known. */
export const inspect: CommandSpec = {
  name: "inspect",
  summary: "Print everything known of layers, as a JSON array",
  description:
    'Under "records" stands the record that REF means, or for a ChainID all of the layer\'s, with names, text, flags, ' +
    "data items, ids, and where they are mounted.",
  arguments: [{ name: "REF", summary: "a layer or a writable layer", count: "many" }],
  examples: [
    { line: "strata inspect base", does: "one layer" },
    { line: "strata inspect base | jq '.[0].dropped'", does: "what could not be set on disk, and why" },
    { line: "strata inspect base | jq -r '.[0].driver.data.UpperDir'", does: "where its files are" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  await using store = await invocation.openStore();
  const inspections = invocation.input.words("REF").map((ref) => store.inspect(ref));
  await invocation.output.array(inspections.map((inspection) => documentOf(store, inspection)));
}

function documentOf(store: LayerStore, inspection: Inspection): object {
  const { kind, mountCount, driver } = inspection;
  const root = inspection.root ?? null;
  if (kind === "writable") {
    const { name, mountId, created, mountLabel, storageOptions, uidMap, gidMap, record } = inspection.mount;
    return {
      kind,
      name,
      parent: inspection.parent ?? null,
      mountId,
      created: created ?? null,
      mountLabel: mountLabel ?? null,
      storageOptions: storageOptions ?? {},
      uidMap: uidMap ?? [],
      gidMap: gidMap ?? [],
      records: record === undefined ? [] : entriesOf(store, [record], root),
      root,
      mountCount,
      driver,
    };
  }
  const { chainId, diffId, parent, cacheId, sizeBytes, created, blob, droppedAttributes, dropped } = inspection.layer;
  const { archiveBytes, entryCount, uids, gids } = inspection.layer;
  return {
    kind,
    chainId,
    diffId,
    parent: parent ?? null,
    cacheId,
    size: inspection.chainSizeBytes,
    diffSize: sizeBytes,
    created: created ?? null,
    blob: blob ?? null,
    archiveSize: archiveBytes ?? null,
    entryCount: entryCount ?? null,
    uids: uids ?? null,
    gids: gids ?? null,
    droppedAttributes: droppedAttributes ?? null,
    dropped: dropped ?? [],
    records: entriesOf(store, inspection.records.map(({ id }) => id), root),
    usedBy: inspection.usedBy,
    root,
    mountCount,
    driver,
  };
}

/** The records in the same root; one that has gone meanwhile is none. */
function entriesOf(store: LayerStore, ids: readonly RecordId[], root: string | null): CatalogEntry[] {
  return ids.flatMap((id) => {
    try {
      const entry = store.catalog.get(id);
      return entry.id === id && (entry.root ?? null) === root ? [entry] : [];
    } catch {
      return [];
    }
  });
}
