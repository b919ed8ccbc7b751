// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer's record says of its tar, beside what containers/storage records of the same bytes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { dir, fifo, file, hardlink, layerTar, opaque, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { type InteropOptions, needsPrograms } from "../support/interop.ts";
import { ScratchRoot, streamOf } from "../support/scratch_store.ts";
import { archive, base256, concat, paxMember, rawMember } from "../support/tar_builder.ts";

const ARCHIVES: Readonly<Record<string, Uint8Array>> = {
  "of all kinds of members": layerTar([
    dir("d", { uid: 1000, gid: 50 }),
    file("d/f", "content", { uid: 33, gid: 2_200_000 }),
    hardlink("d/h", "d/f"),
    symlink("d/l", "f", { uid: 1000, gid: 33 }),
    fifo("d/p", { uid: 5 }),
    { ...whiteout("d/gone"), uid: 7, gid: 7 },
    { ...opaque("d"), uid: 8, gid: 8 },
  ]),
  "with ids of every spelling": archive(
    rawMember({ name: "a", uid: base256(3_000_000n, 8), gid: 1 }),
    paxMember([["uid", "70000"], ["gid", "80000"]]),
    rawMember({ name: "b", uid: 1, gid: 2 }, "b"),
  ),
  "that is compressed": gzipSync(layerTar([file("f", "x".repeat(100_000), { uid: 12 })])),
  "with a padded end": concat(layerTar([file("f", "x")]), new Uint8Array(8192)),
};

describe("a layer's record agrees with that of containers/storage", options(), () => {
  for (const [what, bytes] of Object.entries(ARCHIVES)) {
    it(`for an archive ${what}`, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver: "vfs" });
      const layer = await store.register(streamOf(bytes));
      const theirs = recordOf(scratch.dir, bytes);
      assert.deepEqual({
        "compressed-diff-digest": layer.blob?.digest,
        "compressed-size": layer.blob?.size,
        "diff-digest": layer.diffId,
        "diff-size": layer.archiveBytes,
        uidset: layer.uids,
        gidset: layer.gids,
      }, theirs);
    });
  }
});

function options(): InteropOptions {
  return process.geteuid?.() === 0 ? needsPrograms("containers-storage") : { skip: "owners need root" };
}

/** What containers/storage records of a layer, less what does not come from its bytes. */
function recordOf(scratch: string, bytes: Uint8Array): object {
  const [graph, path] = [join(scratch, "graph"), join(scratch, "layer.tar")];
  writeFileSync(path, bytes);
  const place = ["--graph", graph, "--run", join(scratch, "graph-run"), "--storage-driver", "vfs"];
  const { status, stderr } = spawnSync("containers-storage", [...place, "import-layer", "-f", path], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  const [record] = JSON.parse(readFileSync(join(graph, "vfs-layers/layers.json"), "utf8"));
  const { id: _id, created: _created, compression: _compression, ...facts } = record;
  return facts;
}
