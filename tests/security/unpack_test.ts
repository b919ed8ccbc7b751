// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe as suite, it } from "node:test";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { hasCode, isStrataError } from "../../src/core/errors.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { type HostileArchive, hostileArchives } from "../../src/testing/hostile_archives.ts";
import { shapeOf } from "../../src/testing/tree_listing.ts";
import { describe, Layering, membersOf, unpackArchive } from "../support/layering.ts";

suite("hostile archives change nothing outside their tree", () => {
  for (const archive of hostileArchives) {
    it(archive.name, () => runAttack(archive));
    it(`${archive.name}; cut into two layers after each member`, () => runInPieces(archive));
  }
});

function runAttack(archive: HostileArchive): void {
  using layers = new Layering();
  const victims = new Victims(layers.dir);
  const { layers: archives, wanted } = archive.build(layers.dir);
  const last = archives[archives.length - 1]!;
  for (const bytes of archives.slice(0, -1)) layers.applyWith((unpacker) => unpackArchive(unpacker, bytes));
  if (wanted === "refused") {
    assert.throws(
      () => layers.applyWith((unpacker) => unpackArchive(unpacker, last)),
      (error) => hasCode(error, "INVALID_ARCHIVE") || hasCode(error, "LIMIT_EXCEEDED"),
    );
  } else {
    layers.applyWith((unpacker) => unpackArchive(unpacker, last));
    using view = new PlainView(RootedDir.open(layers.root));
    assert.deepEqual(sorted(shapeOf(view)), sorted(wanted));
  }
  victims.assertUnharmed();
}

/** Whatever becomes of the pieces, they are taken or refused, and nothing outside changes. */
function runInPieces(archive: HostileArchive): void {
  const members = lastMembers(archive);
  for (let cut = 1; cut < members; cut++) {
    using layers = new Layering();
    const victims = new Victims(layers.dir);
    const archives = archive.build(layers.dir).layers;
    try {
      for (const bytes of archives.slice(0, -1)) layers.applyWith((unpacker) => unpackArchive(unpacker, bytes));
      const pieces = membersOf(archives[archives.length - 1]!);
      layers.apply(...pieces.slice(0, cut));
      layers.apply(...pieces.slice(cut));
    } catch (error) {
      if (!isStrataError(error) || (error.code !== "INVALID_ARCHIVE" && error.code !== "LIMIT_EXCEEDED")) throw error;
    }
    victims.assertUnharmed();
  }
}

function lastMembers(archive: HostileArchive): number {
  const { layers } = archive.build("/outside");
  try {
    return membersOf(layers[layers.length - 1]!).length;
  } catch (error) {
    if (isStrataError(error)) return 0; // The reader refuses it.
    throw error;
  }
}

function sorted(shape: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(shape).sort(([a], [b]) => a < b ? -1 : 1);
}

/** What lies beside the trees, and must stay as it is. */
class Victims {
  readonly #paths: string[];
  readonly #before: string[][];

  constructor(outside: string) {
    const victim = join(outside, "victim");
    mkdirSync(victim);
    writeFileSync(join(victim, "file"), "precious", { mode: 0o600 });
    mkdirSync(join(victim, "dir"));
    chmodSync(join(victim, "dir"), 0o700);
    execFileSync("mkfifo", ["-m", "600", join(victim, "fifo")]);
    const traps = Array.from({ length: 12 }, (_, i) => ["tree", "merged", "layer"].map((what) => `${what}-${i}-evil`));
    this.#paths = [victim, ...traps.flat().map((name) => join(outside, name))];
    for (const trap of this.#paths.slice(1)) mkdirSync(trap);
    this.#before = this.#look();
  }

  assertUnharmed(): void {
    assert.deepEqual(this.#look(), this.#before);
  }

  #look(): string[][] {
    return this.#paths.map((path) => {
      using view = new PlainView(RootedDir.open(path));
      return describe(view);
    });
  }
}
