// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { removeTreeInTurns } from "../../src/host/files.ts";

describe("removing a tree in turns", () => {
  it("lets the event loop go on", async () => {
    using scratch = new Scratch();
    const tree = scratch.makeTree({ directories: 40, files: 100 });
    let turns = 0;
    const ticking = setInterval(() => turns++, 0);
    try {
      await removeTreeInTurns(tree);
    } finally {
      clearInterval(ticking);
    }
    assert(turns > 2, `${turns} turns while 4,000 files were removed`);
    assert.deepEqual(readdirSync(scratch.dir), ["outside"]);
  });

  it("does not follow symlinks", async () => {
    using scratch = new Scratch();
    const tree = scratch.makeTree({ directories: 1, files: 1 });
    symlinkSync("../outside", join(tree, "link"));
    await removeTreeInTurns(tree);
    assert.deepEqual(readdirSync(join(scratch.dir, "outside")), ["kept"]);
  });

  it("takes what is not there, a file, and a name below a missing directory", async () => {
    using scratch = new Scratch();
    const file = join(scratch.dir, "outside/kept");
    for (const path of [join(scratch.dir, "none"), join(scratch.dir, "none/below"), file]) {
      await removeTreeInTurns(path);
    }
    assert(!existsSync(file));
  });
});

class Scratch implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "strata-remove-"));

  constructor() {
    mkdirSync(join(this.dir, "outside"));
    writeFileSync(join(this.dir, "outside/kept"), "");
  }

  makeTree({ directories, files }: { readonly directories: number; readonly files: number }): string {
    const tree = join(this.dir, "tree");
    mkdirSync(tree);
    for (let i = 0; i < directories; i++) {
      mkdirSync(join(tree, `${i}`));
      for (let j = 0; j < files; j++) writeFileSync(join(tree, `${i}/${j}`), "");
    }
    return tree;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
