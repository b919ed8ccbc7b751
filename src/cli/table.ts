// SPDX-License-Identifier: Apache-2.0
/**
 * Tables for people: headings in capitals, columns apart by blanks, no lines.
 *
 * @module
 */

import stringWidth from "string-width";

/** A column of a listing. */
export interface Column<T> {
  readonly heading: string;
  readonly align?: "right";
  cell(item: T): string;
}

/** Between columns. */
const GAP = "   ";
/** What stands in as many columns as it has characters. */
const PLAIN = /^[ -~]*$/;

/** The table as text, a line for each item after the headings. The time is that of the items: lists can have thousands. */
export function tableText<T>(columns: readonly Column<T>[], items: readonly T[]): string {
  const rows = [
    columns.map(({ heading }) => heading),
    ...items.map((item) => columns.map(({ cell }) => lineOf(cell(item)))),
  ];
  const widths = columns.map((_, at) => rows.reduce((most, row) => Math.max(most, widthOf(row[at] ?? "")), 0));
  return rows.map((row) => {
    const cells = row.map((text, at) => {
      const blanks = " ".repeat((widths[at] ?? 0) - widthOf(text));
      return columns[at]?.align === "right" ? blanks + text : text + blanks;
    });
    return `${cells.join(GAP).trimEnd()}\n`;
  }).join("");
}

/** Columns of a terminal. */
function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
}

/** An item has one line. */
function lineOf(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}
