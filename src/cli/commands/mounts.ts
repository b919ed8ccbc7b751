// SPDX-License-Identifier: Apache-2.0
/**
 * `strata mounts`.
 *
 * @module
 */
import type { MountedTarget } from "../../../mod.ts";
import { idCell } from "../cells.ts";
import type { CommandSpec } from "../command.ts";
import type { Invocation } from "../invocation.ts";

/** Lists mounts. */
export const mounts: CommandSpec = {
  name: "mounts",
  summary: "List what is mounted, and how often",
  examples: [
    { line: "strata mounts", does: "a table" },
    { line: "strata mounts -q | xargs -n1 strata unmount --force", does: "unmount everything" },
  ],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  await using store = await invocation.openStore();
  await invocation.output.table({
    key: "mounts",
    items: store.mounts(),
    id: ({ path }) => path,
    columns: [
      { heading: "PATH", cell: ({ path }) => path },
      {
        heading: "NAME",
        cell: ({ target }) => target.kind === "writable" ? target.record.name : idCell(nameOf(target)),
      },
      { heading: "COUNT", align: "right", cell: ({ count }) => String(count) },
    ],
    document: ({ path, target, count }) => ({ path, kind: target.kind, name: nameOf(target), count }),
  });
}

function nameOf(target: MountedTarget["target"]): string {
  return target.kind === "writable" ? target.record.name : target.record.chainId;
}
