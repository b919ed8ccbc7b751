// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { findMountProgram } from "../../src/driver/overlay/mounting/mount_program.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, put } from "../../src/testing/driver_cases/case.ts";
import { device, dir, fifo, file, hardlink, layerTar, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { bytesOf, ScratchRoot, streamOf } from "../support/scratch_store.ts";
import { unlessMissing } from "../support/interop.ts";

const program = findMountProgram();
const reason = program === undefined ? "fuse-overlayfs cannot be run here" : await probeOverlay(tmpdir(), program);
const MASK = { "overlay2.force_mask": "private" };

const BASE = layerTar([
  dir("d", { mode: 0o1777, uid: 7, gid: 8 }),
  file("d/suid", "1", { mode: 0o4711, uid: 9, gid: 10 }),
  hardlink("d/again", "d/suid"),
  file("d/gone", "2"),
  symlink("l", "d"),
  fifo("pipe", { mode: 0o640, uid: 1, gid: 2 }),
  device("null", { type: "char", devMajor: 1, devMinor: 3 }),
]);
/** Through a symlink of the layer below, so that the layer is made twice. */
const UPPER = layerTar([whiteout("d/gone"), file("l/new", "3", { uid: 11 }), hardlink("copy", "d/suid")]);

describe("a store with force_mask", () => {
  it("gives every layer back byte for byte", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "overlay2", driverOptions: MASK });
    const { chainId: base } = await store.register(streamOf(BASE));
    const { chainId: upper } = await store.register(streamOf(UPPER), { parent: base });
    for (const [chainId, tar] of [[base, BASE], [upper, UPPER]] as const) {
      assert.deepEqual(await bytesOf(store.export(chainId)), tar);
      assert.equal((await store.verify(chainId)).state, "ok");
    }
    assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
  });

  it("commits what a mount program wrote, with its owners and modes", unlessMissing(reason), async () => {
    using scratch = new ScratchRoot();
    const driverOptions = { ...MASK, "overlay2.mount_program": program ?? "" };
    await using store = await scratch.open({ driver: "overlay2", driverOptions });
    const { chainId: parent } = await store.register(streamOf(BASE));
    await store.createRWLayer("rw", { parent });
    {
      using tree = RootedDir.open(await store.mount("rw"));
      put(tree, "d/mine", "4");
      tree.setOwner(at("d/mine"), 1000, 1001);
      tree.unlink(at("d/gone"));
    }
    await store.unmount("rw");
    const { chainId } = await store.commit("rw");
    const text = new TextDecoder("latin1").decode(await bytesOf(store.export(chainId)));
    assert.ok(text.includes("d/mine") && text.includes("d/.wh.gone"));
    // The owner, as a header's octal digits.
    assert.match(text, /d\/mine\0+0*644\0 ?0*1750\0/);
    assert.ok(!text.includes("override_stat"));
    assert.equal((await store.verify(chainId)).state, "ok");
  });

  it("applies to writable layers, owners and all, while they are not mounted", unlessMissing(reason), async () => {
    using scratch = new ScratchRoot();
    const driverOptions = { ...MASK, "overlay2.mount_program": program ?? "" };
    await using store = await scratch.open({ driver: "overlay2", driverOptions });
    const { chainId: parent } = await store.register(streamOf(BASE));
    await store.createRWLayer("rw", { parent });
    {
      using tree = RootedDir.open(await store.mount("rw"));
      put(tree, "d/mine", "4");
    }
    const isMounted = (error: unknown) => hasCode(error, "IN_USE") && /unmount it/.test(error.message);
    await assert.rejects(store.applyDiff("rw", streamOf(UPPER)), isMounted);
    await store.unmount("rw");
    await store.applyDiff("rw", streamOf(UPPER));
    await store.applyDiff("rw", streamOf(layerTar([fifo("second", { mode: 0o604, uid: 12, gid: 13 })])));
    const { chainId } = await store.commit("rw");
    const text = new TextDecoder("latin1").decode(await bytesOf(store.export(chainId)));
    const header = (name: string, mode: string, uid: string) => new RegExp(`${name}\0+0*${mode}\0 ?0*${uid}\0`);
    for (const line of [header("d/mine", "644", "0*"), header("d/new", "644", "13"), header("copy", "4711", "11")]) {
      assert.match(text, line);
    }
    assert.match(text, header("second", "604", "14"));
    assert.ok(text.includes("d/.wh.gone"));
    assert.ok(!text.includes("override_stat"));
  });
});
