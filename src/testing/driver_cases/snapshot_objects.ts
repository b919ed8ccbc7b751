// SPDX-License-Identifier: Apache-2.0
/**
 * Snapshots of snapshots: what single objects keep from one writable layer to the next, contents, links, owners, modes and
 * attributes, and how snapshots come and go.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import { randomCacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import { file } from "../layer_builder.ts";
import { shapeOf } from "../tree_listing.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  keepsOwners,
  listingAt,
  openWritable,
  put,
  stackOf,
  topId,
  withSnapshots,
  withWritable,
} from "./case.ts";

/** Cases about objects in chains of writable layers. */
export const snapshotObjectCases: readonly DriverCase[] = [
  { name: "snapshots: part of a file is written over, and the rest is the lower one's", run: partWritten },
  { name: "snapshots: hard links made in one stay one object in the next", run: linksStay },
  {
    name: "snapshots: an owner changed reaches the next, and not the one below",
    needs: keepsOwners,
    run: ownerChanged,
  },
  { name: "snapshots: modes of directories and files reach the next", run: modesHandedOn },
  { name: "snapshots: attributes set, changed and removed reach the next", run: attributesHandedOn },
  { name: "snapshots: one that was removed can be made again under its id", run: madeAgain },
  { name: "snapshots: siblings on one parent do not see each other", run: siblings },
];

async function partWritten(context: DriverContext): Promise<void> {
  const content = "0123456789".repeat(1000);
  const steps = [
    (tree: RootedDir) => put(tree, "f", content),
    (tree: RootedDir) => writeOver(tree, "f", { position: 5000, text: "written" }),
    (tree: RootedDir) => truncate(tree, "f", 5010),
  ];
  const written = `${content.slice(0, 5000)}written${content.slice(5007)}`;
  await withSnapshots(context, { steps }, async (ids) => {
    for (const [index, expected] of [content, written, written.slice(0, 5010)].entries()) {
      const id = ids[index];
      if (id === undefined) throw new Error("A snapshot is missing");
      await using view = await context.driver.view(stackIn(context.driver, id));
      assert.deepEqual(shapeOf(view), { f: expected });
    }
  });
}

async function linksStay(context: DriverContext): Promise<void> {
  const steps = [
    (tree: RootedDir) => {
      put(tree, "a", "1");
      for (const name of ["b", "c"]) tree.link(at("a"), at(name));
    },
    (tree: RootedDir) => tree.unlink(at("b")),
  ];
  await withSnapshots(context, { steps }, async ([first, second]) => {
    for (const [id, names] of [[first, 3], [second, 2]] as const) {
      if (id === undefined) throw new Error("A snapshot is missing");
      const listing = listingAt(await context.driver.get(id));
      assert.equal(listing.filter((line) => line.endsWith(" = a")).length, names - 1);
      await context.driver.put(id);
    }
    if (second === undefined) throw new Error("A snapshot is missing");
    // Whether the names that stay are told as changed is the driver's choice: they lost a link, and nothing else.
    const removed = changeLines(await context.driver.changes(second, first)).filter((line) => line.startsWith("D"));
    assert.deepEqual(removed, ["D /b"]);
  });
}

async function ownerChanged(context: DriverContext): Promise<void> {
  const owner = (tree: RootedDir) => {
    const stat = tree.stat(at("f"));
    return [stat?.uid, stat?.gid, stat?.mode];
  };
  const seen: unknown[] = [];
  const steps = [
    (tree: RootedDir) => put(tree, "f", "1"),
    (tree: RootedDir) => {
      tree.setOwner(at("f"), 1234, 5678);
      tree.setMode(at("f"), 0o4755);
    },
    (tree: RootedDir) => seen.push(owner(tree)),
  ];
  await withSnapshots(context, { steps }, async ([first, second]) => {
    if (first === undefined || second === undefined) throw new Error("A snapshot is missing");
    assert.deepEqual(seen, [[1234, 5678, 0o4755]]);
    assert.deepEqual(changeLines(await context.driver.changes(second, first)), ["C /f"]);
    const below = inTree(await context.driver.get(first, { access: "read-only" }), owner);
    await context.driver.put(first);
    assert.deepEqual(below, [0, 0, 0o644]);
  });
}

async function modesHandedOn(context: DriverContext): Promise<void> {
  const modes = { d: 0o1750, "d/e": 0o700, "d/f": 0o604 };
  const steps = [
    (tree: RootedDir) => {
      for (const name of ["d", "d/e"]) tree.mkdir(at(name), 0o755);
      put(tree, "d/f", "1");
    },
    (tree: RootedDir) => {
      for (const [name, mode] of Object.entries(modes)) tree.setMode(at(name), mode);
    },
    (tree: RootedDir) => {
      for (const [name, mode] of Object.entries(modes)) assert.equal(tree.stat(at(name))?.mode, mode, name);
    },
  ];
  await withSnapshots(context, { steps }, async ([first, second]) => {
    if (second === undefined) throw new Error("A snapshot is missing");
    assert.deepEqual(changeLines(await context.driver.changes(second, first)), ["C /d", "C /d/e", "C /d/f"]);
  });
}

async function attributesHandedOn(context: DriverContext): Promise<void> {
  const text = (value: string) => new TextEncoder().encode(value);
  const names = ["kept", "changed", "removed"].map((name) => fromText(`user.strata.${name}`));
  const [, changed = names[0], removed = names[0]] = names;
  const steps = [
    (tree: RootedDir) => {
      put(tree, "f", "1");
      for (const name of names) tree.setXattr(at("f"), name, text("old"));
    },
    (tree: RootedDir) => {
      if (changed !== undefined) tree.setXattr(at("f"), changed, text("new"));
      if (removed !== undefined) tree.removeXattr(at("f"), removed);
    },
    (tree: RootedDir) => {
      const values = Array.from(tree.xattrs(at("f")).values(), (value) => new TextDecoder().decode(value));
      assert.deepEqual(values, ["new", "old"]);
    },
  ];
  await withSnapshots(context, { steps }, async ([first, second]) => {
    if (second === undefined) throw new Error("A snapshot is missing");
    assert.deepEqual(changeLines(await context.driver.changes(second, first)), ["C /f"]);
  });
}

async function madeAgain({ driver }: DriverContext): Promise<void> {
  const id = randomCacheId();
  for (const content of ["first", "second"]) {
    await driver.createReadWrite(id, undefined);
    inTree(await driver.get(id), (tree) => {
      assert.deepEqual(tree.list(ROOT), []);
      put(tree, "f", content);
    });
    await driver.put(id);
    await driver.remove(id);
    assert.equal(driver.exists(id), false);
  }
}

async function siblings(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("f", "below")]]);
  await withWritable(context, stack, async (one) => {
    await withWritable(context, stack, async (two) => {
      for (const { path } of [one, two]) inTree(path, (tree) => put(tree, "f", path));
      for (const { id, path } of [one, two]) {
        await context.driver.put(id);
        await using view = await context.driver.view([context.driver.locate(id), ...stack]);
        assert.deepEqual(shapeOf(view), { f: path });
        assert.deepEqual(changeLines(await context.driver.changes(id, topId(stack))), ["C /", "C /f"]);
      }
    });
  });
}

function writeOver(tree: RootedDir, name: string, { position, text }: { position: number; text: string }): void {
  using file = openWritable(tree, name);
  file.writeAt(new TextEncoder().encode(text), position);
}

function truncate(tree: RootedDir, name: string, size: number): void {
  using file = openWritable(tree, name);
  file.truncate(size);
}
