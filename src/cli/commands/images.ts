// SPDX-License-Identifier: Apache-2.0
/**
 * `strata images`.
 *
 * @module
 */
import { dateCell, idCell, sizeCell } from "../cells.ts";
import type { CommandSpec } from "../command.ts";
import type { Invocation } from "../invocation.ts";
import { loadStrata } from "../strata.ts";

/** Lists images. */
export const images: CommandSpec = {
  name: "images",
  summary: "List images",
  examples: [
    { line: "strata images", does: "a table" },
    { line: "strata images --json | jq '.images[].names'", does: "for programs" },
  ],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { log, output } = invocation;
  const { ImageStore } = await loadStrata();
  await using store = await invocation.openStore();
  const { images, findings } = new ImageStore(store).list();
  for (const { error } of findings) await log.notice("warn", error.message);
  await output.table({
    key: "images",
    items: images,
    id: ({ imageId }) => imageId,
    columns: [
      { heading: "NAMES", cell: ({ names }) => names.length === 0 ? "-" : names.join(", ") },
      { heading: "ID", cell: ({ imageId }) => idCell(imageId) },
      { heading: "PLATFORM", cell: ({ platform }) => platform },
      { heading: "LAYERS", align: "right", cell: ({ layerCount }) => String(layerCount) },
      { heading: "SIZE", align: "right", cell: ({ sizeBytes }) => sizeCell(sizeBytes) },
      { heading: "CREATED", cell: ({ created }) => dateCell(created) },
    ],
    document: ({ imageId, names, created, platform, chainId, layerCount, sizeBytes }) => ({
      id: imageId,
      names,
      created: created ?? null,
      platform,
      chainId: chainId ?? null,
      layerCount,
      size: sizeBytes ?? null,
    }),
  });
}
