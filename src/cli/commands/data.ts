// SPDX-License-Identifier: Apache-2.0
/**
 * `strata data`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { BigDataItem, LayerStore } from "../../../mod.ts";
import { sizeCell } from "../cells.ts";
import type { ArgumentSpec, CommandBranch, CommandSpec } from "../command.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { RECORD_ARGUMENT, recordOf } from "../record_refs.ts";
import { loadStrata } from "../strata.ts";
import { fileOption, openInput, STANDARD, textOf } from "../text_input.ts";

const KEY: ArgumentSpec = { name: "KEY", summary: "the item's name: any text", count: "one" };
/** Bytes of an item that a terminal is shown; nobody reads more there. */
const SHOWN_BYTES_MAX = 2 ** 20;
/** What drives a terminal. Tabs and line ends are text. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** Data items of records. */
export const data: CommandBranch = {
  name: "data",
  summary: "Keep data items with a layer, and give them back",
  commands: [
    command("ls", list, {
      summary: "List the data items of a layer",
      arguments: [RECORD_ARGUMENT],
      examples: [{ line: "strata data ls base", does: "keys, sizes and digests" }],
    }),
    command("get", get, {
      summary: "Give a data item's bytes",
      description: "They are compared with their digest: damaged ones make it fail. A terminal is shown text only.",
      options: [fileOption('write there, all or nothing; "-", the default, is standard output')],
      examples: [{ line: "strata data get base sbom -f sbom.json", does: "into a file" }],
    }),
    command("set", set, {
      summary: "Set a data item, and print its digest",
      description: "What it was before is read to its end by who reads it meanwhile.",
      options: [fileOption('read from there; "-", the default, is standard input')],
      examples: [
        { line: "strata data set base sbom -f sbom.json", does: "from a file" },
        { line: "syft base.tar | strata data set base sbom", does: "from another program" },
      ],
      exitCodes: [EXIT.noSpace],
    }),
    command("digest", (invocation) => tell(invocation, ({ digest }) => digest), {
      summary: "Print a data item's digest",
      examples: [{ line: "strata data digest base sbom", does: "as it was set" }],
    }),
    command("size", (invocation) => tell(invocation, ({ size }) => String(size)), {
      summary: "Print a data item's bytes",
      examples: [{ line: "strata data size base sbom", does: "how many there are" }],
    }),
  ],
};

function command(
  name: string,
  run: CommandSpec["run"],
  { exitCodes = [], ...spec }: Omit<CommandSpec, "name" | "run">,
): CommandSpec {
  const codes = [EXIT.notFound, EXIT.refused, ...exitCodes];
  return { arguments: [RECORD_ARGUMENT, KEY], ...spec, name, exitCodes: codes, run };
}

async function list(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  await using store = await invocation.openStore();
  const { bigData = [] } = await recordOf(store, input.word("REF"));
  await output.table({
    key: "data",
    items: bigData,
    id: ({ key }) => key,
    columns: [
      { heading: "KEY", cell: ({ key }) => printable(key) },
      { heading: "SIZE", align: "right", cell: ({ size }) => sizeCell(size) },
      { heading: "DIGEST", cell: ({ digest }) => digest },
    ],
    document: (item) => item,
  });
}

async function get(invocation: Invocation): Promise<void> {
  const { input, output, io, signal } = invocation;
  const file = input.text("file") ?? STANDARD;
  await using store = await invocation.openStore();
  const { id, item } = await itemOf(store, invocation);
  if (file === STANDARD && io.stdout.terminal === "yes") return await showText(invocation, store, { id, item });
  const stream = store.catalog.bigData(id, item.key);
  if (file === STANDARD) return await output.bytes(stream, signal);
  await (await loadStrata()).writeFileStream(file, stream, { signal });
}

async function set(invocation: Invocation): Promise<void> {
  const { input, output, signal } = invocation;
  await using store = await invocation.openStore();
  const { id } = await recordOf(store, input.word("REF"));
  const value = await openInput(invocation, input.text("file") ?? STANDARD, "a data item");
  const item = await store.catalog.setBigData(id, input.word("KEY"), value, { signal });
  await output.value(item.digest, { id, ...item });
}

async function tell(invocation: Invocation, fact: (item: BigDataItem) => string): Promise<void> {
  await using store = await invocation.openStore();
  const { id, item } = await itemOf(store, invocation);
  await invocation.output.value(fact(item), { id, ...item });
}

interface FoundItem {
  readonly id: string;
  readonly item: BigDataItem;
}

async function itemOf(store: LayerStore, { input }: Invocation): Promise<FoundItem> {
  const key = input.word("KEY");
  const { id } = await recordOf(store, input.word("REF"));
  const [digest, size] = [store.catalog.bigDataDigest(id, key), store.catalog.bigDataSize(id, key)];
  return { id, item: { key, digest, size } };
}

/** Other bytes could do anything to a terminal. */
async function showText({ output }: Invocation, store: LayerStore, { id, item }: FoundItem): Promise<void> {
  const chunks: Uint8Array[] = [];
  if (item.size <= SHOWN_BYTES_MAX) {
    for await (const chunk of store.catalog.bigData(id, item.key)) {
      chunks.push(chunk);
    }
  }
  const text = item.size <= SHOWN_BYTES_MAX ? textOf(Buffer.concat(chunks)) : undefined;
  if (text !== undefined && !CONTROL.test(text)) return await output.text(text);
  const why = item.size > SHOWN_BYTES_MAX ? "it is too long for one" : "it is no plain text";
  throw new UsageError(`Cannot write data item ${JSON.stringify(item.key)} to a terminal: ${why}`, {
    hint: "Add -f FILE, or pipe the output on",
  });
}

/** A key may be any text, and a line of a table is one line. */
function printable(key: string): string {
  return /^[\u0021-\u007e\u00a1-\u{10ffff}]+$/u.test(key) ? key : JSON.stringify(key);
}
