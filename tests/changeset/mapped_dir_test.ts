// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MappedDir } from "../../src/changeset/mapped_dir.ts";
import { packTree } from "../../src/changeset/pack.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { hasCode } from "../../src/core/errors.ts";
import { containerShift, type IdMappings, parseIdMap } from "../../src/core/id_map.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { IS_ROOT } from "../host/scratch.ts";
import { at, dir, file, hardlink, Layering, type Member, member, symlink } from "../support/layering.ts";
import { joined } from "./apply_layer.ts";

const skip = IS_ROOT ? false : "only root may give files away";
const MAPPINGS: IdMappings = { uids: parseIdMap("0:1000:65536"), gids: parseIdMap("0:2000:65536") };
const CAPABILITY = "\u0001\0\0\u0002\0\u0004\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/** Every way by which an object can get its owner: a member, an implied directory, a copy from below. */
const LAYERS: readonly (readonly Member[])[] = [
  [
    dir("d", { uid: 1000, gid: 5, mode: 0o2755 }),
    file("d/set", "x", { uid: 1000, gid: 1000, mode: 0o6755, xattrs: { "security.capability": CAPABILITY } }),
    hardlink("d/link", "d/set"),
    symlink("s", "d", { uid: 65535, gid: 0 }),
    file("gone", "", { uid: 3 }),
    member("fifo", "p", { uid: 7 }),
    file("implied/by/name", ""),
  ],
  [hardlink("e", "d/set"), file("d/new", "", { gid: 9 }), file(".wh.gone"), file("other/implied", "")],
  [dir("d", { uid: 4 }), file("d/.wh..wh..opq"), file("d/top", "y", { uid: 5 })],
];

describe("a layer kept under mapped ids", { skip }, () => {
  it("shows the tree that it shows under its own ids, and packs to the same archive", () => {
    using plain = new Layering();
    using mapped = new Layering("archive", MAPPINGS);
    for (const members of LAYERS) {
      plain.apply(...members);
      mapped.apply(...members);
      assert.deepEqual(mapped.tree(), plain.tree());
      assert.deepEqual(mapped.stacked(), plain.stacked());
      assert.deepEqual(packed(mapped.root, MAPPINGS), packed(plain.root, undefined));
    }
  });

  it("belongs to the container's users on disk, implied directories and all", () => {
    using mapped = new Layering("archive", MAPPINGS);
    for (const members of LAYERS) mapped.apply(...members);
    const names = ["", ...readdirSync(mapped.root, { recursive: true, encoding: "utf8" })];
    for (const name of names.filter((name) => name !== "s")) {
      const { uid, gid } = statSync(join(mapped.root, name));
      assert.ok(uid >= 1000 && gid >= 2000, `"${name}" belongs to ${uid}:${gid}`);
    }
    assert.equal(statSync(join(mapped.root, "e")).uid, 2000);
  });

  it("is refused when an owner has no counterpart, by the member's name", () => {
    using mapped = new Layering("archive", MAPPINGS);
    assert.throws(
      () => mapped.apply(file("far", "", { uid: 65536 })),
      (error) => hasCode(error, "INVALID_ARGUMENT") && /^Cannot unpack "far": .*65536/.test(error.message),
    );
  });
});

describe("MappedDir", { skip }, () => {
  it("tells of an owner from outside the maps where it lies, and lets marks be anybody's", () => {
    using layers = new Layering();
    layers.apply(file("f"), member("char", "c", { devMajor: 1, devMinor: 3 }));
    using view = new PlainView(
      new MappedDir(RootedDir.open(layers.root), {
        shift: containerShift(MAPPINGS),
        isMark: (stat) => stat.type === "char",
      }),
    );
    assert.throws(() => view.stat(at("f")), (error) => {
      return hasCode(error, "INVALID_ARGUMENT") &&
        /Cannot tell who owns "\/f" of ".*": .*host user 0/.test(error.message);
    });
    assert.equal(view.stat(at("c"))?.uid, 0);
  });
});

function packed(path: string, mappings: IdMappings | undefined): Uint8Array {
  const root = RootedDir.open(path);
  using view = new PlainView(
    mappings === undefined ? root : new MappedDir(root, { shift: containerShift(mappings) }),
  );
  return joined(packTree(view));
}
