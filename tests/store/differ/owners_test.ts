// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  describeDirectory,
  type Differ,
  directoryDiffer,
  fromText,
  type IdMappings,
  type LayerStore,
  type OpenOptions,
  parseIdMap,
} from "../../../mod.ts";
import { dir, file, hardlink, layerTar } from "../../../src/testing/layer_builder.ts";
import { parseLayerPath } from "../../../src/core/layer_path.ts";
import { IS_ROOT } from "../../host/scratch.ts";
import { archiveDiffer } from "../../support/archive_differ.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { readMembers } from "../../support/tar_reading.ts";
import { differencesOf, listTree } from "../../support/tree_listing.ts";

const skip = IS_ROOT ? false : "only root may give files away";
const MAPS: IdMappings = { uids: parseIdMap("0:1000:65536"), gids: parseIdMap("0:2000:65536") };
const MEMBERS = [
  dir("d", { mode: 0o1777, uid: 7, gid: 8 }),
  file("d/suid", "1", { mode: 0o4711, uid: 9, gid: 10 }),
  hardlink("d/again", "d/suid"),
  file("one", "same content", { mode: 0o444 }),
];
const TAR = layerTar(MEMBERS);

/** Stores that keep owners in other ways than an archive tells them. */
const KEPT: readonly (readonly [string, OpenOptions])[] = [
  ...DRIVERS.map((driver) => [`mapped ids on ${driver}`, { driver, idMappings: MAPS }] as const),
  ["attributes on overlay2", { driver: "overlay2", driverOptions: { "overlay2.force_mask": "private" } }],
];

/** The tree that a layer's own directory shows, under the layer's form on disk. */
function ownTree(store: LayerStore, ref: string) {
  return listTree(store.differTarget(ref));
}

for (const [name, options] of KEPT) {
  describe(`differs in a store that keeps owners by ${name}`, { skip }, () => {
    it("make the tree that unpacking the archive makes", async () => {
      using scratch = new ScratchRoot();
      using plain = new ScratchRoot();
      await using store = await scratch.open(options);
      await using other = await plain.open(options);
      const { layer } = await store.registerStagedDiff(await store.stageDiff(archiveDiffer(MEMBERS)));
      const reference = await other.register(streamOf(TAR));
      assert.equal(layer.chainId, reference.chainId);
      assert.deepEqual(await bytesOf(layer.tarStream()), TAR);
      const [own, theirs] = [ownTree(store, layer.chainId), ownTree(other, layer.chainId)];
      assert.deepEqual(differencesOf(own, theirs), []);
    });

    it("take contents from layers that are kept so", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open(options);
      const source = join(scratch.dir, "source");
      mkdirSync(source);
      for (const content of ["first", "second"]) writeFileSync(join(source, content), content);
      const base = await store.registerStagedDiff(
        await store.stageDiff(directoryDiffer({ source, manifest: await describeDirectory(source) })),
      );
      const before = ownTree(store, base.layer.chainId);
      writeFileSync(join(source, "third"), "third");
      const manifest = await describeDirectory(source);
      const staged = await store.stageDiff(directoryDiffer({ source, manifest, reuse: "hard link" }));
      assert.equal(staged.output.contents?.filesReused, 2);
      const { layer } = await store.registerStagedDiff(staged);
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      assert.equal((await store.verify(base.layer.chainId)).state, "ok");
      assert.deepEqual(differencesOf(before, ownTree(store, base.layer.chainId)), []);
    });
  });
}

describe("a differ without a tar-split, in a store of mapped ids", { skip }, () => {
  it("makes files as they are kept on disk, and the archive has its own ids", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs", idMappings: MAPS });
    const differ: Differ = {
      applyDiff(target, { idMappings }) {
        writeFileSync(join(target.path, "f"), "f");
        target.setOwner(parseLayerPath(fromText("f")), 1007, 2008);
        return Promise.resolve({ metadata: String(idMappings?.uids.length) });
      },
    };
    const staged = await store.stageDiff(differ);
    assert.equal(staged.output.metadata, "1");
    const { layer } = await store.registerStagedDiff(staged);
    const [member] = readMembers(await bytesOf(layer.tarStream()));
    assert.deepEqual([member?.entry.uid, member?.entry.gid], [7, 8]);
  });
});
