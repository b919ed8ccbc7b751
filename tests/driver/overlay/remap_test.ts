// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { lstatSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { IDENTITY, type IdMappings, parseIdMap } from "../../../src/core/id_map.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import { LayerIds } from "../../../src/driver/parts/layer_ids.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { remapLayer } from "../../../src/driver/overlay/remap.ts";
import { changeLines, stackOf, topId } from "../../../src/testing/driver_cases/case.ts";
import { dir, file, hardlink } from "../../../src/testing/layer_builder.ts";
import { listingOf } from "../../../src/testing/tree_listing.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";
import { IS_ROOT } from "../../host/scratch.ts";

const skip = IS_ROOT ? await probeOverlay(tmpdir()) ?? false : "only root may give files away";
const MAPS: IdMappings = { uids: parseIdMap("0:1000:65536"), gids: parseIdMap("0:2000:65536") };

describe("remapLayer where mounts cannot map", { skip }, () => {
  it("copies up what shows from below, hard links and all, and is mounted as it is from then on", async () => {
    await withScratchDriver("overlay2", async ({ driver, work, reopen }) => {
      const stack = await stackOf({ driver, work, reopen }, [
        [dir("d"), file("d/a", "a", { uid: 1000, mode: 0o4755 }), hardlink("d/b", "d/a"), file("gone")],
      ]);
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack));
      const path = await driver.get(id);
      rmSync(join(path, "gone"));
      writeFileSync(join(path, "new"), "new");
      await driver.put(id);
      const listing = async () => {
        await using view = await driver.view([driver.locate(id), ...stack]);
        return listingOf(view);
      };
      const before = await listing();
      const layer = {
        location: driver.locate(id),
        parents: stack,
        ids: new LayerIds(driver.spec, {
          noteOf: ({ dir }) => `${dir}/id-maps`,
          treeOf: ({ dir }) => `${dir}/diff`,
          isMark: (stat) => stat.type === "char",
        }),
        mounts: {
          get: () => driver.get(id),
          put: () => driver.put(id),
          over: () => [],
          whyNoShifting: () => Promise.resolve("it is forbidden here"),
        },
      };
      for (const [from, to, owner] of [[IDENTITY, MAPS, 2000], [MAPS, IDENTITY, 1000]] as const) {
        await remapLayer(layer, { from, to });
        assert.deepEqual(readdirSync(`${driver.locate(id).dir}/diff`).sort(), ["d", "gone", "new"]);
        assert.deepEqual(await listing(), before);
        const { uid, mode, nlink } = lstatSync(join(await driver.get(id), "d/b"));
        assert.deepEqual([uid, mode & 0o7777, nlink], [owner, 0o4755, 2]);
        await driver.put(id);
        assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), ["C /", "D /gone", "A /new"]);
      }
    });
  });
});
