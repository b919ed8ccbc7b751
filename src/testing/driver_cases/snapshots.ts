// SPDX-License-Identifier: Apache-2.0
/**
 * Snapshots of snapshots: writable layers, each on the one before, and the tree that each of them keeps.
 *
 * What containerd's snapshotter suite and Docker's graph driver tests ask of a chain of containers is asked here of every
 * driver, with the same expectation for all.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import { shapeOf, type TreeShape } from "../tree_listing.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inView,
  listingAt,
  put,
  withSnapshots,
  withWritable,
} from "./case.ts";

/** One snapshot: what is done in it, what its tree is then, and what it reports. */
interface Step {
  edit(tree: RootedDir): void;
  readonly tree: TreeShape;
  /** Against the snapshot below; absent for the lowest. */
  readonly changes?: readonly string[];
}

interface SnapshotCase {
  readonly name: string;
  readonly steps: readonly Step[];
}

const ETC: Step = {
  edit(tree) {
    tree.mkdir(at("etc"), 0o755);
    put(tree, "etc/hosts", "one");
    put(tree, "etc/profile", "one");
  },
  tree: { "etc/": "", "etc/hosts": "one", "etc/profile": "one" },
};

const CHAINS: readonly SnapshotCase[] = [
  {
    name: "a file written again in each snapshot",
    steps: [
      ETC,
      {
        edit: (tree) => put(tree, "etc/hosts", "two"),
        tree: { "etc/": "", "etc/hosts": "two", "etc/profile": "one" },
        changes: ["C /etc", "C /etc/hosts"],
      },
      {
        edit: (tree) => put(tree, "etc/hosts", "three"),
        tree: { "etc/": "", "etc/hosts": "three", "etc/profile": "one" },
        changes: ["C /etc", "C /etc/hosts"],
      },
    ],
  },
  {
    name: "a snapshot in which nothing is done",
    steps: [ETC, { edit() {}, tree: ETC.tree, changes: [] }, { edit() {}, tree: ETC.tree, changes: [] }],
  },
  {
    name: "a file removed, made again, and removed once more",
    steps: [
      ETC,
      {
        edit: (tree) => tree.unlink(at("etc/hosts")),
        tree: { "etc/": "", "etc/profile": "one" },
        changes: ["C /etc", "D /etc/hosts"],
      },
      {
        edit: (tree) => put(tree, "etc/hosts", "new"),
        tree: { "etc/": "", "etc/hosts": "new", "etc/profile": "one" },
        changes: ["C /etc", "A /etc/hosts"],
      },
      {
        edit: (tree) => tree.unlink(at("etc/hosts")),
        tree: { "etc/": "", "etc/profile": "one" },
        changes: ["C /etc", "D /etc/hosts"],
      },
    ],
  },
  {
    name: "a directory removed in one and made again in the next does not bring its content back",
    steps: [
      ETC,
      { edit: (tree) => tree.removeTree(at("etc")), tree: {}, changes: ["C /", "D /etc"] },
      {
        edit(tree) {
          tree.mkdir(at("etc"), 0o755);
          put(tree, "etc/new", "3");
        },
        tree: { "etc/": "", "etc/new": "3" },
        changes: ["C /", "A /etc", "A /etc/new"],
      },
    ],
  },
  {
    name: "a directory replaced by a new one in every snapshot shows the newest only",
    steps: ["1", "2", "3"].map((round): Step => ({
      edit(tree) {
        if (tree.stat(at("d")) !== undefined) tree.removeTree(at("d"));
        tree.mkdir(at("d"), 0o755);
        put(tree, `d/${round}`, round);
      },
      tree: { "d/": "", [`d/${round}`]: round },
      ...(round === "1" ? {} : { changes: ["C /", "C /d", `D /d/${Number(round) - 1}`, `A /d/${round}`] }),
    })),
  },
  {
    name: "a directory, a file, a symlink and a directory again under one name",
    steps: [
      ETC,
      {
        edit(tree) {
          tree.removeTree(at("etc"));
          put(tree, "etc", "file");
        },
        tree: { etc: "file" },
        changes: ["C /", "C /etc"],
      },
      {
        edit(tree) {
          tree.unlink(at("etc"));
          tree.symlink(at("etc"), fromText("nowhere"));
        },
        tree: { etc: "-> nowhere" },
        changes: ["C /", "C /etc"],
      },
      {
        edit(tree) {
          tree.unlink(at("etc"));
          tree.mkdir(at("etc"), 0o755);
          put(tree, "etc/hosts", "last");
        },
        tree: { "etc/": "", "etc/hosts": "last" },
        changes: ["C /", "C /etc", "A /etc/hosts"],
      },
    ],
  },
  {
    name: "a file of a lower snapshot moved to another directory",
    steps: [
      {
        edit(tree) {
          for (const name of ["dir1", "dir2"]) {
            tree.mkdir(at(name), 0o700);
            put(tree, `${name}/f`, name);
          }
        },
        tree: { "dir1/": "", "dir1/f": "dir1", "dir2/": "", "dir2/f": "dir2" },
      },
      {
        edit: (tree) => tree.rename(at("dir1/f"), at("dir2/f")),
        tree: { "dir1/": "", "dir2/": "", "dir2/f": "dir1" },
        changes: ["C /dir1", "D /dir1/f", "C /dir2", "C /dir2/f"],
      },
    ],
  },
  {
    name: "a directory of the snapshot's own, renamed, and a lower name put to another use",
    steps: [
      ETC,
      {
        edit(tree) {
          tree.removeTree(at("etc"));
          tree.mkdir(at("made"), 0o755);
          put(tree, "made/x", "2");
          tree.rename(at("made"), at("etc"));
        },
        tree: { "etc/": "", "etc/x": "2" },
        changes: ["C /", "C /etc", "D /etc/hosts", "D /etc/profile", "A /etc/x"],
      },
      {
        edit: (tree) => tree.unlink(at("etc/x")),
        tree: { "etc/": "" },
        changes: ["C /etc", "D /etc/x"],
      },
    ],
  },
  {
    name: "a directory that loses its last file stays, and takes files again",
    steps: [
      ETC,
      {
        edit(tree) {
          for (const name of ["etc/hosts", "etc/profile"]) tree.unlink(at(name));
        },
        tree: { "etc/": "" },
        changes: ["C /etc", "D /etc/hosts", "D /etc/profile"],
      },
      { edit: (tree) => put(tree, "etc/x", "3"), tree: { "etc/": "", "etc/x": "3" }, changes: ["C /etc", "A /etc/x"] },
    ],
  },
];

/** Cases about chains of writable layers. */
export const snapshotCases: readonly DriverCase[] = [
  ...CHAINS.map(({ name, steps }): DriverCase => ({
    name: `snapshots: ${name}`,
    run: (context) => chained(context, steps),
  })),
];

/** Each snapshot keeps its tree when those above are written: seen as a view, read-only, and below an empty layer. */
async function chained(context: DriverContext, steps: readonly Step[]): Promise<void> {
  const { driver } = context;
  await withSnapshots(context, { steps: steps.map(({ edit }) => edit) }, async (ids) => {
    for (const [index, { tree, changes }] of steps.entries()) {
      const id = ids[index];
      if (id === undefined) throw new Error("A snapshot is missing");
      assert.deepEqual(await inView(context, stackIn(driver, id), shapeOf), tree);
      if (changes !== undefined) assert.deepEqual(changeLines(await driver.changes(id, ids[index - 1])), changes);
      const listing = listingAt(await driver.get(id, { access: "read-only" }));
      await driver.put(id);
      await withWritable(context, stackIn(driver, id), ({ path }) => assert.deepEqual(listingAt(path), listing));
    }
  });
}
