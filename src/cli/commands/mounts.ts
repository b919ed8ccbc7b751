// SPDX-License-Identifier: Apache-2.0
/**
 * `strata mounts`.
 *
 * @module
 */
import type { CatalogEntry, LayerStore, MountedTarget, RecordId } from "../../../mod.ts";
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
    items: store.mounts().map((mounted) => itemOf(store, mounted)),
    id: ({ path }) => path,
    columns: [
      { heading: "PATH", cell: ({ path }) => path },
      { heading: "NAME", cell: ({ name }) => /^sha256:/.test(name) ? idCell(name) : name },
      { heading: "COUNT", align: "right", cell: ({ count }) => String(count) },
    ],
    document: (item) => item,
  });
}

/** A mount as users know it. */
interface MountItem {
  readonly path: string;
  readonly kind: "layer" | "writable";
  readonly name: string;
  /** The record whose own it is; a layer's mount may be several records'. */
  readonly record: string | null;
  readonly count: number;
}

function itemOf(store: LayerStore, { path, target, count }: MountedTarget): MountItem {
  if (target.kind === "layer") return { path, kind: "layer", name: target.record.chainId, record: null, count };
  const { name, outside } = target.record;
  const record = ownerOf(store, target.record.record);
  if (record === undefined) {
    // What stands for one elsewhere goes by the name there.
    const known = outside === undefined ? name : target.record.record ?? name;
    return { path, kind: "writable", name: known, record: null, count };
  }
  const { id, names } = record;
  // One whose name the user did not choose is known by its record's.
  const known = [id, ...names].find((each) => each === `${name}`) ?? names[0] ?? id;
  return { path, kind: record.target.kind, name: known, record: id, count };
}

/** One that is gone or damaged is none. */
function ownerOf(store: LayerStore, id: RecordId | undefined): CatalogEntry | undefined {
  if (id === undefined) return undefined;
  try {
    const entry = store.catalog.get(id);
    return entry.id === id ? entry : undefined;
  } catch {
    return undefined;
  }
}
