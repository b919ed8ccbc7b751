// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { lstatSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import { OVERRIDE_XATTR } from "../../../src/changeset/override_stat.ts";
import type { TreeView } from "../../../src/changeset/tree_view.ts";
import { findMountProgram } from "../../../src/driver/overlay/mounting/mount_program.ts";
import { parseOverlayOptions } from "../../../src/driver/overlay/options.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { RootedDir } from "../../../src/host/rooted_dir.ts";
import { at, changeLines, put, stackOf, topId } from "../../../src/testing/driver_cases/case.ts";
import {
  device,
  dir,
  fifo,
  file,
  hardlink,
  layerTar,
  opaque,
  symlink,
  whiteout,
} from "../../../src/testing/layer_builder.ts";
import { listingOf } from "../../../src/testing/tree_listing.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";
import { unlessMissing } from "../../support/interop.ts";
import { IS_ROOT } from "../../host/scratch.ts";

const program = findMountProgram();
const reason = program === undefined ? "fuse-overlayfs cannot be run here" : await probeOverlay(tmpdir(), program);
const needsKernel = unlessMissing(await probeOverlay(tmpdir()));
const MASK = { "overlay2.force_mask": "shared" };
const MASKED = { name: "force_mask", driver: "overlay2", options: MASK, label: ",a" };
const MOUNTED = { ...MASKED, options: { ...MASK, "overlay2.mount_program": program ?? "" } };

const BASE = [
  dir(".", { mode: 0o711, uid: 5, gid: 6 }),
  dir("d", { mode: 0o1777, uid: 7, gid: 8 }),
  file("d/suid", "1", { mode: 0o4711, uid: 9, gid: 10 }),
  hardlink("d/again", "d/suid"),
  file("d/gone", "2"),
  symlink("l", "d/suid"),
  fifo("pipe", { mode: 0o640, uid: 1, gid: 2 }),
  dir("e", { mode: 0o700 }),
  file("e/old", "3"),
];
const UPPER = [whiteout("d/gone"), dir("e", { mode: 0o750 }), opaque("e"), hardlink("copy", "d/suid"), file("f", "4")];

/** What a mount program changes, and then diffs. */
const LOWER = [
  dir("cut"),
  file("cut/old", "1"),
  dir("hidden"),
  file("hidden/old", "1"),
  dir("kept", { mode: 0o1777, uid: 7, gid: 8 }),
  file("kept/a", "1", { mode: 0o4711, uid: 9 }),
  file("kept/b", "1"),
  dir("to-file"),
  file("to-file/old", "1"),
  file("to-dir", "1"),
  file("gone", "1"),
  dir("opaque"),
  file("opaque/old", "1"),
];
const DIFFS = [
  [
    dir("cut", { mode: 0o750, uid: 5 }),
    file("cut/applied", "2", { uid: 6 }),
    dir("hidden"),
    file("hidden/applied", "2"),
    whiteout("kept/a"),
    whiteout("kept/mine"),
    fifo("kept/pipe", { mode: 0o640, uid: 1, gid: 2 }),
    dir("to-file", { uid: 4 }),
    file("to-dir", "2", { mode: 0o600 }),
    file("gone", "back", { uid: 11 }),
    hardlink("again", "gone"),
    dir("opaque"),
    opaque("opaque"),
    file("opaque/applied", "2"),
    device("null", { type: "char", devMajor: 1, devMinor: 3 }),
  ],
  [whiteout("hidden"), file("cut/old", "3"), whiteout("cut/mine"), whiteout("gone"), dir("kept"), file("kept/a", "3")],
];

/** Every kind of mark, and objects among those below. */
function writeIn(path: string): void {
  using tree = RootedDir.open(path);
  tree.removeTree(at("cut"));
  tree.mkdir(at("cut"), 0o755);
  put(tree, "cut/mine", "m");
  tree.removeTree(at("hidden"));
  put(tree, "kept/mine", "m");
  tree.unlink(at("kept/b"));
  tree.removeTree(at("to-file"));
  put(tree, "to-file", "m");
  tree.unlink(at("to-dir"));
  tree.mkdir(at("to-dir"), 0o755);
  put(tree, "to-dir/mine", "m");
  tree.unlink(at("gone"));
  put(tree, "opaque/mine", "m");
}

describe("the option force_mask", () => {
  it("takes shared, private and octal modes", () => {
    const modes = { shared: 0o755, private: 0o700, "0750": 0o750, "711": 0o711 };
    for (const [value, mode] of Object.entries(modes)) {
      assert.equal(parseOverlayOptions({ "overlay.force_mask": value }).forceMask, mode);
    }
    for (const value of ["", "public", "0999", "4755", "044", "rwx", "0x1ff"]) {
      assert.throws(
        () => parseOverlayOptions({ "overlay2.force_mask": value }),
        (error) => hasCode(error, "INVALID_ARGUMENT"),
        value,
      );
    }
  });
});

describe("layers with force_mask", () => {
  it(
    "show the tree of plain layers, and have one mode and owner on disk",
    { skip: !IS_ROOT && "not root" },
    async () => {
      const expected = await listed("overlay2", {});
      assert.deepEqual(await listed("force_mask", MASK), expected);
    },
  );

  it("have the mode everywhere, and say in attributes what they are", async () => {
    await withScratchDriver(MASKED, async (context) => {
      const [top, base] = await stackOf(context, [
        [...BASE, device("null", { type: "char", devMajor: 1, devMinor: 3 })],
        UPPER,
      ]);
      for (const layer of [top!, base!]) assertMasked(`${layer.dir}/diff`, 0o755);
      using plain = RootedDir.open(`${base!.dir}/diff`);
      const said = (name: string) => new TextDecoder().decode(plain.xattrs(at(name)).get(OVERRIDE_XATTR));
      assert.equal(said("d"), "7:8:1777:dir");
      assert.equal(said("d/suid"), "9:10:4711:file");
      assert.equal(said("pipe"), "1:2:0640:pipe");
      assert.match(said("null"), /^0:0:0[0-7]{3}:char-1-3$/);
      assert.equal(said("."), "5:6:0711:dir");
    });
  });

  it("drop the attribute that an archive brings", async () => {
    await withScratchDriver(MASKED, async (context) => {
      const xattrs = new Map([[OVERRIDE_XATTR, new TextEncoder().encode("0:0:4755:file")]]);
      const stack = await stackOf(context, [[file("f", "1", { mode: 0o600, uid: 3, xattrs })]]);
      using view = await context.driver.view(stack);
      const { mode, uid } = view.stat(at("f"))!;
      assert.deepEqual({ mode, uid }, { mode: 0o600, uid: 3 });
      assert.equal(view.xattrs(at("f")).size, 0);
    });
  });

  it(
    "are mounted by the kernel for reading, and show the mask then",
    needsKernel,
    async () => {
      await withScratchDriver(MASKED, async ({ driver, ...context }) => {
        const top = topId(await stackOf({ driver, ...context }, [BASE, UPPER]));
        const path = await driver.get(top);
        assert.deepEqual(readdirSync(path).sort(), ["copy", "d", "e", "f", "l", "pipe"]);
        assert.equal(lstatSync(join(path, "d/suid")).mode & 0o7777, 0o755);
        await driver.put(top);
      });
    },
  );

  it("cannot be written to without a mount program", async () => {
    await withScratchDriver(MASKED, async (context) => {
      const top = topId(await stackOf(context, [[file("f", "1")]]));
      const id = randomCacheId();
      await assert.rejects(
        async () => await context.driver.createReadWrite(id, top),
        (error) => hasCode(error, "NOT_SUPPORTED") && error.message.includes("mount_program"),
      );
      assert.equal(await context.driver.exists(id), false);
    });
  });

  it("are mounted and written to by a mount program", unlessMissing(reason), async () => {
    await withScratchDriver(MOUNTED, async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, [BASE, UPPER]);
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack));
      const path = await driver.get(id);
      const suid = lstatSync(join(path, "d/suid"));
      assert.deepEqual([suid.mode & 0o7777, suid.uid, suid.gid], [0o4711, 9, 10]);
      assert.deepEqual([lstatSync(path).mode & 0o7777, lstatSync(path).uid], [0o711, 5]);
      assert.deepEqual(readdirSync(path).sort(), ["copy", "d", "e", "f", "l", "pipe"]);
      using tree = RootedDir.open(path);
      assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), []);
      put(tree, "d/new", "5");
      // In this order: fuse-overlayfs 1.10 forgets the owner when it changes the mode.
      tree.setMode(at("d/new"), 0o640);
      tree.setOwner(at("d/new"), 1000, 1001);
      tree.setMode(at("f"), 0o600);
      tree.unlink(at("l"));
      assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), [
        "C /",

        "C /d",
        "A /d/new",
        "C /f",
        "D /l",
      ]);
      using view = await driver.view([driver.locate(id), ...stack]);
      const { mode, uid, gid } = view.stat(at("d/new"))!;
      assert.deepEqual({ mode, uid, gid }, { mode: 0o640, uid: 1000, gid: 1001 });
      assert.equal(view.stat(at("f"))?.mode, 0o600);
      assert.deepEqual([...view.xattrs(at("f")).keys()], []);
    });
  });

  it("take diffs in, owners and all", unlessMissing(reason), async () => {
    await withScratchDriver(MOUNTED, async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, [BASE, UPPER]);
      const expected = listedIn(await driver.view(stack));
      const base = stack[1]!.cacheId;
      const [copy, again] = [randomCacheId(), randomCacheId()];
      for (const [id, parent, from] of [[copy, undefined, base], [again, copy, topId(stack)]] as const) {
        await driver.createReadWrite(id, parent);
        // A mount leaves an attribute in the layer's root.
        await driver.get(id);
        await driver.put(id);
        const stream = await driver.diff(from, parent && base);
        await driver.applyDiff(id, parent, { kind: "tar", stream });
        assertMasked(`${driver.locate(id).dir}/diff`, 0o755);
      }
      assert.deepEqual(listedIn(await driver.view([driver.locate(again), driver.locate(copy)])), expected);
      const suid = lstatSync(join(await driver.get(again), "d/suid"));
      assert.deepEqual([suid.mode & 0o7777, suid.uid, suid.gid], [0o4711, 9, 10]);
    });
  });

  it("take diffs in upon what a mount program wrote, as plain layers do", unlessMissing(reason), async () => {
    const outcomes: unknown[] = [];
    for (const setup of [MOUNTED, { ...MOUNTED, name: "plain", options: {} }]) {
      await withScratchDriver(setup, async (context) => {
        const { driver } = context;
        const stack = await stackOf(context, [LOWER]);
        const id = randomCacheId();
        await driver.createReadWrite(id, topId(stack));
        writeIn(await driver.get(id));
        await driver.put(id);
        for (const diff of DIFFS) {
          const stream = new Blob([layerTar(diff).slice()]).stream();
          await driver.applyDiff(id, topId(stack), { kind: "tar", stream });
        }
        using view = await driver.view([driver.locate(id), ...stack]);
        const listing = listingOf(view).map((line) => line.replace(/\d{10}\.\d{9}/, "time"));
        const mounted = await driver.get(id);
        const changes = changeLines(await driver.changes(id, topId(stack)));
        outcomes.push({ listing, changes, mounted: readdirSync(mounted, { recursive: true }).sort() });
      });
    }
    assert.deepEqual(outcomes[0], outcomes[1]);
  });

  it("take no diff in while they are mounted, or when others lie upon them", unlessMissing(reason), async () => {
    await withScratchDriver(MOUNTED, async (context) => {
      const { driver } = context;
      const parent = topId(await stackOf(context, [LOWER]));
      const id = randomCacheId();
      await driver.createReadWrite(id, parent);
      const apply = async () => {
        const stream = new Blob([layerTar([file("new", "1", { uid: 3 })]).slice()]).stream();
        await driver.applyDiff(id, parent, { kind: "tar", stream });
      };
      const path = await driver.get(id);
      await assert.rejects(apply, (error) => hasCode(error, "IN_USE") && error.detail.usedBy.includes(path));
      await driver.put(id);
      await apply();
      assert.equal(lstatSync(join(await driver.get(id), "new")).uid, 3);
      await driver.put(id);
      await driver.createReadWrite(randomCacheId(), id);
      await assert.rejects(apply, (error) => hasCode(error, "NOT_PERMITTED"));
    });
  });

  it("are mounted for writing without a layer below", unlessMissing(reason), async () => {
    await withScratchDriver(MOUNTED, async ({ driver }) => {
      const id = randomCacheId();
      await driver.createReadWrite(id, undefined);
      const path = await driver.get(id);
      assert.equal(path, `${driver.locate(id).dir}/merged`);
      using tree = RootedDir.open(path);
      put(tree, "f", "1");
      tree.setOwner(at("f"), 3, 4);
      const lines = changeLines(await driver.changes(id, undefined));
      assert.deepEqual(lines, ["C /", "A /f"]);
      assert.equal(lstatSync(`${driver.locate(id).dir}/diff/f`).uid, lstatSync(path).uid);
    });
  });
});

function listedIn(view: TreeView): readonly string[] {
  using tree = view;
  return listingOf(tree);
}

async function listed(name: string, options: Readonly<Record<string, string>>): Promise<readonly string[]> {
  let listing: readonly string[] = [];
  await withScratchDriver({ name, driver: "overlay2", options }, async (context) => {
    using view = await context.driver.view(await stackOf(context, [BASE, UPPER]));
    listing = listingOf(view);
  });
  return listing;
}

/** Symlinks have no mode, and whiteouts are the kernel's. */
function assertMasked(path: string, mode: number): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink() || stat.isCharacterDevice()) return;
  assert.ok(stat.isFile() || stat.isDirectory(), path);
  assert.deepEqual([stat.mode & 0o7777, stat.uid], [mode, process.geteuid?.()], path);
  if (stat.isDirectory()) { for (const name of readdirSync(path)) assertMasked(join(path, name), mode); }
}
