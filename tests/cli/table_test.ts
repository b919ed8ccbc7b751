// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { type Column, tableText } from "../../src/cli/table.ts";

const COLUMNS: readonly Column<readonly [string, string]>[] = [
  { heading: "NAME", cell: ([name]) => name },
  { heading: "SIZE", align: "right", cell: ([, size]) => size },
  { heading: "AGAIN", cell: ([name]) => name },
];

describe("tableText()", () => {
  it("sets columns apart by blanks, by the columns of a terminal", () => {
    assert.equal(
      tableText(COLUMNS, [["debian", "5 B"], ["日本語", "12 kB"], ["é́", ""], ["two\nlines", "1"]]),
      [
        "NAME         SIZE   AGAIN",
        "debian        5 B   debian",
        "日本語      12 kB   日本語",
        "é́                   é́",
        "two lines       1   two lines",
        "",
      ].join("\n"),
    );
  });

  it("has headings when there is nothing", () => {
    assert.equal(tableText(COLUMNS, []), "NAME   SIZE   AGAIN\n");
  });
});
