// SPDX-License-Identifier: Apache-2.0
/**
 * Tables for people: headings in capitals, columns apart by blanks, no lines.
 *
 * @module
 */

/** A column of a listing. */
export interface Column<T> {
  readonly heading: string;
  readonly align?: "right";
  cell(item: T): string;
}

/** Between columns; everything else that a table could be drawn with is left out. */
const BARE = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "",
  "mid-mid": "",
  "right": "",
  "right-mid": "",
  "middle": "   ",
};

/** The table as text, a line for each item after the headings. */
export async function tableText<T>(columns: readonly Column<T>[], items: readonly T[]): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    head: columns.map(({ heading }) => heading),
    chars: BARE,
    colAligns: columns.map(({ align }) => align ?? "left"),
    style: { "head": [], "border": [], "padding-left": 0, "padding-right": 0, "compact": true },
  });
  for (const item of items) table.push(columns.map(({ cell }) => cell(item)));
  return table.toString().split("\n").map((line) => `${line.trimEnd()}\n`).join("");
}
