// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Ownership } from "../../src/changeset/change.ts";
import { type MetadataTarget, MetadataWriter } from "../../src/changeset/apply_metadata.ts";
import { DropReport } from "../../src/changeset/drop_report.ts";
import { hasCode } from "../../src/core/errors.ts";
import { errnoOf, isOsError, OsError } from "../../src/host/errno.ts";
import { file } from "../support/layering.ts";

/** An object that takes no owner, and what was done to it. */
class Refusing implements MetadataTarget {
  readonly modes: number[] = [];
  readonly #code: string;

  constructor(code: string) {
    this.#code = code;
  }

  setOwner(): void {
    throw new OsError(errnoOf(this.#code), "fchown");
  }

  setXattr(): void {}

  setMode(mode: number): void {
    this.modes.push(mode);
  }
}

function apply(target: MetadataTarget, ownership: Ownership, mode: number): string[] {
  const report = new DropReport();
  const writer = new MetadataWriter({ ownership, report, self: { uid: 0, gid: 0 } });
  const { entry } = file("f", "", { uid: 5, gid: 6, mode });
  writer.apply(target, entry, writer.modeOf(entry));
  return report.listed.map(({ attribute }) => attribute);
}

describe("MetadataWriter: owners that cannot be set", () => {
  for (const code of ["EINVAL", "EPERM"]) {
    it(`are recorded where they may be left out (${code})`, () => {
      assert.deepEqual(apply(new Refusing(code), "archive-where-possible", 0o644), ["owner 5:6"]);
    });
  }

  it("take the set-id bits along, which were meant for them", () => {
    const target = new Refusing("EINVAL");
    assert.deepEqual(apply(target, "archive-where-possible", 0o6755), ["owner 5:6", "mode 6755"]);
    assert.deepEqual(target.modes, []);
  });

  it("refuse the layer otherwise, and the error says what to do", () => {
    assert.throws(
      () => apply(new Refusing("EINVAL"), "archive", 0o644),
      (error) => hasCode(error, "NOT_PERMITTED") && /owner 5:6; give .* ignore_chown_errors=true/.test(error.message),
    );
    assert.throws(
      () => apply(new Refusing("EIO"), "archive-where-possible", 0o644),
      (error) => isOsError(error, "EIO"),
    );
  });
});
