// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fromText } from "../../../src/core/bytes.ts";
import { parseLayerPath } from "../../../src/core/layer_path.ts";
import { findStray } from "../../../src/driver/containers_storage/stray_paths.ts";
import { RootedDir } from "../../../src/host/rooted_dir.ts";

describe("findStray", () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(`${tmpdir()}/strata-stray-`);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  function stray(members: readonly string[], known: readonly string[] = []): string | undefined {
    using tree = RootedDir.open(dir);
    return findStray({
      tree,
      members: new Set(members.map((name) => parseLayerPath(fromText(name)))),
      // Stands for a whiteout device, which needs privilege.
      isWhiteout: ({ type, size }) => type === "file" && size === 7,
      isKnown: (path) => known.includes(path),
    });
  }

  it("accounts for members, the directories above them, and whiteouts", () => {
    mkdirSync(`${dir}/a/b`, { recursive: true });
    writeFileSync(`${dir}/a/b/c`, "");
    writeFileSync(`${dir}/a/gone`, "7 bytes");
    assert.equal(stray(["./a/b/c", "a/.wh.gone"]), undefined);
    assert.equal(stray(["a/b/c"]), "a/gone");
    assert.equal(stray(["a/b/c", "a/gone"]), "a/gone");
    assert.equal(stray(["a/.wh.gone", "a/b/"]), "a/b/c");
    assert.equal(stray([]), "a");
    assert.equal(stray(["a/b", "a/.wh.gone"], ["a/b/c"]), undefined);
  });

  it("follows the symlinks through which members came to lie elsewhere", () => {
    mkdirSync(`${dir}/real`);
    writeFileSync(`${dir}/real/file`, "");
    symlinkSync("real", `${dir}/link`);
    assert.equal(stray(["real", "link", "link/file"]), undefined);
    assert.equal(stray(["real", "link"]), "real/file");
  });
});
