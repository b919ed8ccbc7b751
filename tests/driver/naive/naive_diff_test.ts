// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { lstatSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { type CacheId, randomCacheId } from "../../../src/core/ids.ts";
import { mountsBelow } from "../../../src/host/mount_table.ts";
import type { Diff } from "../../../src/driver/interfaces/diff_driver.ts";
import { stackOf as stackIn } from "../../../src/driver/driver.ts";
import { naiveDiffDriver } from "../../../src/driver/naive/naive_diff.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { changeLines, topId, withWritable } from "../../../src/testing/driver_cases/case.ts";
import { stackOf } from "../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../src/testing/driver_suite.ts";
import {
  dir,
  file,
  hardlink,
  type LayerMember,
  layerTar,
  opaque,
  symlink,
  whiteout,
} from "../../../src/testing/layer_builder.ts";
import { listingOf, shapeOf, type TreeShape } from "../../../src/testing/tree_listing.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";
import { bytesOf, streamOf } from "../../support/scratch_store.ts";

const BASE: readonly LayerMember[] = [
  dir("d"),
  file("d/a", "1"),
  file("d/b", "22"),
  hardlink("d/h", "d/b"),
  dir("gone"),
  file("gone/x", "1"),
  symlink("l", "d"),
];

for (const driver of ["vfs", "overlay2"]) {
  const reason = driver === "vfs" ? undefined : await probeOverlay(tmpdir());
  const onScratch = scratchTests(driver);
  describe(`naiveDiffDriver() on ${driver}`, { skip: reason ?? false }, () => {
    onScratch("gives the driver's own changes, tars and sizes", async (context) => {
      const { parent, id } = await edited(context);
      const naive = naiveDiffDriver(context.driver);
      assert.deepEqual(await naive.changes(id, parent), await context.driver.changes(id, parent));
      const tar = await bytesOf(naive.diff(id, parent));
      assert.deepEqual(tar, await bytesOf(context.driver.diff(id, parent)));
      assert.equal(await naive.diffSize(id, parent), 3);
      assert.equal(await context.driver.diffSize(id, parent), 3);
      assert.deepEqual(await naive.changes(id, undefined), await context.driver.changes(id, undefined));
      assert.deepEqual(mountsBelow(context.driver.spec.home), []);
    });

    onScratch("leaves a layer mounted that its user has mounted", async ({ driver, ...context }) => {
      const stack = await stackOf({ driver, ...context }, [BASE]);
      await withWritable({ driver, ...context }, stack, async ({ id, path }) => {
        writeFileSync(join(path, "new"), "1");
        assert.deepEqual(changeLines(await naiveDiffDriver(driver).changes(id, topId(stack))), ["C /", "A /new"]);
        assert.equal(readFileSync(join(path, "new"), "utf8"), "1");
      });
    });

    onScratch("sees what was written in the same instant, with the old size and time", async (context) => {
      const stack = await stackOf(context, [BASE]);
      await withWritable(context, stack, async ({ id, path }) => {
        const name = join(path, "d/a");
        const { atime, mtime } = lstatSync(name);
        writeFileSync(name, "2");
        utimesSync(name, atime, mtime);
        assert.deepEqual(changeLines(await naiveDiffDriver(context.driver).changes(id, topId(stack))), [
          "C /d",
          "C /d/a",
        ]);
      });
    });

    for (const by of ["the driver", "the naive driver"] as const) {
      const applierOf = (context: DriverContext) =>
        by === "the driver" ? context.driver : naiveDiffDriver(context.driver);

      onScratch(`applies the tar that it gave: ${by}`, async (context) => {
        const { parent, id } = await edited(context);
        const diff = await bytesOf(context.driver.diff(id, parent));
        const copy = randomCacheId();
        await context.driver.create(copy, parent);
        const sizeBytes = await applierOf(context).applyDiff(copy, parent, tarOf(diff));
        assert.equal(sizeBytes, 3);
        assert.deepEqual(await listed(context, copy), await listed(context, id));
        assert.deepEqual(await bytesOf(context.driver.diff(copy, parent)), diff);
      });

      onScratch(`hides what was there before, wherever the whiteouts stand: ${by}`, async (context) => {
        const members = [file("d/new", "3"), opaque("d"), file("gone", "2"), whiteout("gone"), whiteout("l")];
        assert.deepEqual(await applied(context, applierOf(context), members), { "d/": "", "d/new": "3", gone: "2" });
      });

      onScratch(`stays inside the layer, and follows its symlinks there: ${by}`, async (context) => {
        const members = [symlink("out", "/../../.."), file("l/through", "4"), whiteout("l/a")];
        const tree = await applied(context, applierOf(context), members);
        assert.deepEqual(Object.keys(tree).sort(), [
          ...["d/", "d/b", "d/h", "d/through", "gone/", "gone/x", "l", "out"],
        ]);
        const bad = [symlink("e", "/"), file("e/../../escape", "1"), hardlink("passwd", "/etc/passwd")];
        await assert.rejects(applied(context, applierOf(context), bad), (error) => hasCode(error, "INVALID_ARCHIVE"));
      });

      onScratch(`changes nothing for a bad tar, and leaves nothing behind: ${by}`, async (context) => {
        const parent = topId(await stackOf(context, [BASE]));
        const id = randomCacheId();
        await context.driver.create(id, parent);
        const before = await listed(context, id);
        const cut = layerTar([file("a", "1"), file("big", "x".repeat(5000))]).subarray(0, 3000);
        const applier = applierOf(context);
        await assert.rejects(applier.applyDiff(id, parent, tarOf(cut)), (e) => hasCode(e, "INVALID_ARCHIVE"));
        const signal = AbortSignal.abort();
        await assert.rejects(
          applier.applyDiff(id, parent, tarOf(layerTar([file("a", "1")])), { signal }),
          (error) => hasCode(error, "ABORTED"),
        );
        assert.deepEqual(await listed(context, id), before);
        assert.deepEqual(context.driver.debris(), []);
        assert.deepEqual(mountsBelow(context.driver.spec.home), []);
      });
    }

    onScratch("unmounts when the reader has enough", async (context) => {
      const { parent, id } = await edited(context);
      const reader = naiveDiffDriver(context.driver).diff(id, parent).getReader();
      await reader.read();
      await reader.cancel();
      assert.deepEqual(mountsBelow(context.driver.spec.home), []);
    });
  });
}

function scratchTests(driver: string): (name: string, run: (context: DriverContext) => Promise<void>) => void {
  return (name, run) => it(name, () => withScratchDriver(driver, run));
}

/** A layer with one change of each kind. */
async function edited(context: DriverContext): Promise<{ parent: CacheId; id: CacheId }> {
  const parent = topId(await stackOf(context, [BASE]));
  const id = randomCacheId();
  await context.driver.create(id, parent);
  const tar = layerTar([file("d/a", "x"), file("n", "22"), hardlink("n2", "n"), whiteout("gone"), whiteout("l")]);
  await context.driver.applyDiff(id, parent, tarOf(tar));
  return { parent, id };
}

async function applied(
  context: DriverContext,
  applier: Pick<DriverContext["driver"], "applyDiff">,
  members: readonly LayerMember[],
): Promise<TreeShape> {
  const parent = topId(await stackOf(context, [BASE]));
  const id = randomCacheId();
  await context.driver.create(id, parent);
  await applier.applyDiff(id, parent, tarOf(layerTar(members)));
  await using view = await context.driver.view(stackIn(context.driver, id));
  return shapeOf(view);
}

function tarOf(bytes: Uint8Array): Diff {
  return { kind: "tar", stream: streamOf(bytes, 1000) };
}

async function listed({ driver }: DriverContext, id: CacheId): Promise<readonly string[]> {
  await using view = await driver.view(stackIn(driver, id));
  return listingOf(view);
}
