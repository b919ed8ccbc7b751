// SPDX-License-Identifier: Apache-2.0
/**
 * `strata layers`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { dateCell, idCell, sizeCell } from "../cells.ts";
import type { Invocation } from "../invocation.ts";
import { layerTree } from "../layer_tree.ts";
import { type ListedLayer, listLayers } from "../listed_layers.ts";
import type { Column } from "../table.ts";

/** Lists layers, by their records and those that have none. */
export const layers: CommandSpec = {
  name: "layers",
  aliases: ["ls"],
  summary: "List layers and writable layers, with and without a record",
  description:
    "A layer without a record, as images have them and Docker's roots, goes by its ChainID. What lies in roots that are\n" +
    "only read comes last, with the root. The tree has each layer once, below its parent.",
  options: [{ name: "tree", summary: "show which layer sits on which" }],
  examples: [
    { line: "strata layers", does: "a table" },
    { line: "strata layers --tree", does: "the same as a tree" },
    { line: "strata layers --json | jq '.layers[].names'", does: "for programs" },
  ],
  run,
};

const COLUMNS: readonly Column<ListedLayer>[] = [
  { heading: "ID", cell: ({ kind, id }) => kind === "writable" ? id : idCell(id) },
  { heading: "KIND", cell: ({ kind, state }) => state === "ok" ? kind : `${kind} (${state})` },
  { heading: "NAMES", cell: ({ names }) => names.join(", ") },
  { heading: "PARENT", cell: ({ parent }) => idCell(parent) },
  { heading: "SIZE", align: "right", cell: ({ diffSize }) => sizeCell(diffSize) },
  { heading: "CREATED", cell: ({ created }) => dateCell(created) },
];
const ROOT: Column<ListedLayer> = { heading: "ROOT", cell: ({ root }) => root ?? "" };

async function run(invocation: Invocation): Promise<void> {
  const { input, output, log, globals } = invocation;
  await using store = await invocation.openStore();
  const listing = listLayers(store);
  for (const warning of listing.warnings) await log.notice("warn", warning);
  if (input.flag("tree") === "given" && globals.format === "table" && globals.volume === "normal") {
    return await output.text(layerTree(listing.items));
  }
  await output.table({
    key: "layers",
    items: listing.items,
    columns: listing.items.some(({ root }) => root !== null) ? [...COLUMNS, ROOT] : COLUMNS,
    id: ({ id }) => id,
    document: (item) => item,
  });
}
