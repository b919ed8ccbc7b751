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
  const drawn = columns.map(({ heading, align, cell }) => {
    const cells = [heading, ...items.map((item) => lineOf(cell(item)))].map((text) => ({ text, width: widthOf(text) }));
    const most = cells.reduce((widest, { width }) => Math.max(widest, width), 0);
    return cells.map(({ text, width }) => {
      const blanks = " ".repeat(most - width);
      return align === "right" ? blanks + text : text + blanks;
    });
  });
  const line = (row: number): string => `${drawn.map((cells) => cells[row] ?? "").join(GAP).trimEnd()}\n`;
  return Array.from({ length: items.length + 1 }, (_, row) => line(row)).join("");
}

/** Columns of a terminal. */
function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : stringWidth(text);
}

/** An item has one line. */
function lineOf(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, " ") : text;
}
