// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import type { Change } from "../../../src/changeset/change.ts";
import type { TreeView } from "../../../src/changeset/tree_view.ts";
import { fromText } from "../../../src/core/bytes.ts";
import { hasCode } from "../../../src/core/errors.ts";
import type { CacheId } from "../../../src/core/ids.ts";
import { joinPath, type LayerPath, parseLayerPath, ROOT } from "../../../src/core/layer_path.ts";
import type { LayerLocation } from "../../../src/driver/interfaces/layer_sealer.ts";
import { openDriver } from "../../../src/driver/registry.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { hasErrno } from "../../../src/host/errno.ts";
import { RootedDir } from "../../../src/host/rooted_dir.ts";
import { at, changeLines, topId, withWritable } from "../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../src/testing/driver_suite.ts";
import {
  addLayer,
  dir,
  fifo,
  file,
  hardlink,
  type LayerMember,
  opaque,
  symlink,
  whiteout,
} from "../../../src/testing/layer_builder.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";

/** One call on a mounted tree. */
interface Edit {
  readonly name: string;
  apply(tree: RootedDir, root: string): void;
}

/** Few names, so that members and edits meet each other. */
const text = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const path = text.map((name) => parseLayerPath(fromText(name)));
/** Of one length, so that only the bytes tell. */
const content = fc.constantFrom("one", "two", "six");
const mode = fc.constantFrom(0o755, 0o700, 0o4711);
const owner = fc.constantFrom(0, 1000);
/** Few, so that a file that was written again can have its old time. */
const mtime = fc.constantFrom({ sec: 1_600_000_000, nsec: 0 }, { sec: 1_600_000_000, nsec: 1 });

const member: fc.Arbitrary<LayerMember> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(text, content, fc.record({ mode, mtime })).map((args) => file(...args)) },
  { weight: 4, arbitrary: fc.tuple(text, fc.record({ mode, mtime })).map((args) => dir(...args)) },
  { weight: 2, arbitrary: fc.tuple(text, text).map((args) => symlink(...args)) },
  { weight: 2, arbitrary: fc.tuple(text, text).map((args) => hardlink(...args)) },
  { weight: 1, arbitrary: text.map((name) => fifo(name)) },
  { weight: 2, arbitrary: text.map(whiteout) },
  { weight: 1, arbitrary: text.map(opaque) },
);
const layers = fc.array(fc.array(member, { maxLength: 8 }), { minLength: 1, maxLength: 3 });

const edit: fc.Arbitrary<Edit> = fc.oneof(
  edits("write", fc.tuple(path, content), (tree, [at, bytes]) => write(tree, at, bytes)),
  edits("write in place", fc.tuple(path, content), (tree, [at, bytes], root) => {
    if (tree.stat(at)?.type === "file") writeFileSync(`${root}/${at}`, bytes);
  }),
  edits("rewrite unseen", fc.tuple(path, content), rewriteUnseen),
  edits("unlink", path, (tree, at) => tree.unlink(at)),
  edits("remove tree", path, (tree, at) => tree.removeTree(at)),
  edits("mkdir", path, (tree, at) => tree.mkdir(at, 0o755)),
  edits("directory anew", path, directoryAnew),
  edits("directory, file, directory", path, (tree, at) => {
    tree.removeTree(at);
    write(tree, at, "one");
    directoryAnew(tree, at);
  }),
  edits("file in place", fc.tuple(path, content), (tree, [at, bytes]) => {
    tree.removeTree(at);
    write(tree, at, bytes);
  }),
  edits("rename", fc.tuple(path, path), (tree, [from, to]) => tree.rename(from, to)),
  edits("link", fc.tuple(path, path), (tree, [from, to]) => tree.link(from, to)),
  edits("symlink", fc.tuple(path, text), (tree, [at, target]) => tree.symlink(at, fromText(target))),
  edits("chmod", fc.tuple(path, mode), (tree, [at, bits]) => tree.setMode(at, bits)),
  edits("chown", fc.tuple(path, owner), (tree, [at, id]) => tree.setOwner(at, id, id)),
  edits("xattr", fc.tuple(path, content), (tree, [at, value]) => {
    tree.setXattr(at, fromText("user.edit"), new TextEncoder().encode(value));
  }),
  edits("no xattr", path, (tree, at) => tree.removeXattr(at, fromText("user.edit"))),
  edits("touch", fc.tuple(path, mtime), (tree, [at, time]) => tree.setTimes(at, { atime: time, mtime: time })),
);

const skip = await probeOverlay(tmpdir()) ?? false;

test("the upper directory tells the same changes as both mounted trees, compared whole", { skip }, async () => {
  await fc.assert(
    fc.asyncProperty(layers, fc.array(edit, { maxLength: 12 }), async (stack, edits) => {
      await withScratchDriver("overlay2", async (context) => await assertSameChanges(context, { stack, edits }));
    }),
    { numRuns: Number(process.env.STRATA_PROPERTY_RUNS ?? 150) },
  );
});

test("a link that takes the place of the other one's name is one name that went", { skip }, async () => {
  const edit: Edit = { name: "rename", apply: (tree) => tree.rename(at("c"), at("a")) };
  for (const linked of [symlink("a", "somewhere"), file("a", "one"), fifo("a")]) {
    await withScratchDriver("overlay2", async (context) => {
      const below = await layersOf(context, [[linked, hardlink("c", "a")]]);
      await withWritable(context, below, async ({ id, path }) => {
        assert.equal(editTree(path, [edit]).length, 1);
        await context.driver.put(id);
        assert.deepEqual(changeLines(await context.driver.changes(id, topId(below))), ["C /", "D /c"]);
      });
      await assertSameChanges(context, { stack: [[linked, hardlink("c", "a")]], edits: [edit] });
    });
  }
});

async function assertSameChanges(
  context: DriverContext,
  { stack, edits }: { readonly stack: readonly (readonly LayerMember[])[]; readonly edits: readonly Edit[] },
): Promise<void> {
  const { driver } = context;
  const below = await layersOf(context, stack);
  const [top] = below;
  if (top === undefined) return;
  await withWritable(context, below, async ({ id, path }) => {
    const done = editTree(path, edits);
    await driver.put(id);
    const native = await driver.changes(id, top.cacheId);
    const { changes, linkedBefore } = await naiveChanges(context, { id, parent: top.cacheId });
    const known = new Set(native.map(({ path }) => path));
    const naive = changes.filter((change) => known.has(change.path) || !isOfParted(change, linkedBefore));
    assert.deepEqual(changeLines(native), changeLines(naive), `after ${done.join(", ")}`);
  });
}

/** The stack of those layers that can be applied. */
async function layersOf(
  { driver, work }: DriverContext,
  stack: readonly (readonly LayerMember[])[],
): Promise<readonly LayerLocation[]> {
  let below: readonly LayerLocation[] = [];
  for (const archive of stack) {
    try {
      below = await addLayer(driver, { archive, below, work });
    } catch (error) {
      if (!hasCode(error, "INVALID_ARCHIVE")) throw error;
    }
  }
  return below;
}

/** Makes the edits that can be made; returns their names. */
function editTree(path: string, edits: readonly Edit[]): string[] {
  using tree = RootedDir.open(path);
  return edits.flatMap(({ name, apply }) => {
    try {
      apply(tree, path);
      return [name];
    } catch (error) {
      if (hasErrno(error, ...REFUSALS)) return [];
      throw error;
    }
  });
}

/** What calls say of paths that do not fit them. */
const REFUSALS = [
  "ENOENT",
  "EEXIST",
  "ENOTDIR",
  "EISDIR",
  "ENOTEMPTY",
  "EXDEV",
  "EINVAL",
  "ELOOP",
  "EPERM",
  "ENODATA",
  "EOPNOTSUPP",
];

/**
 * Whether the change is needless, and known to be by the upper directory only. Where names of one file have parted, whole
 * trees do not tell which of them was touched, so all are reported, and the directories that they are in.
 */
function isOfParted({ kind, path }: Change, linkedBefore: ReadonlySet<LayerPath>): boolean {
  return kind === "modify" && [...linkedBefore].some((linked) => linked === path || linked.startsWith(`${path}/`));
}

async function naiveChanges(
  { driver }: DriverContext,
  { id, parent }: { readonly id: CacheId; readonly parent: CacheId },
): Promise<{ readonly changes: Change[]; readonly linkedBefore: ReadonlySet<LayerPath> }> {
  const naive = openDriver({ ...driver.spec, options: { "overlay2.native_diff": "false" } });
  const changes = await naive.changes(id, parent);
  using before = await driver.view([driver.locate(parent), ...driver.parentsOf(parent)]);
  return { changes, linkedBefore: new Set(linkedFiles(before)) };
}

function* linkedFiles(tree: TreeView, dir: LayerPath = ROOT): Generator<LayerPath> {
  for (const { name } of tree.list(dir)) {
    const path = joinPath(dir, name);
    const stat = tree.stat(path);
    if (stat?.type === "dir") yield* linkedFiles(tree, path);
    else if (stat !== undefined && stat.nlink > 1) yield path;
  }
}

function edits<T>(
  name: string,
  args: fc.Arbitrary<T>,
  act: (tree: RootedDir, args: T, root: string) => void,
): fc.Arbitrary<Edit> {
  return args.map((values) => ({
    name: `${name} ${JSON.stringify(values)}`,
    apply: (tree: RootedDir, root: string) => act(tree, values, root),
  }));
}

function write(tree: RootedDir, at: LayerPath, bytes: string): void {
  if (tree.stat(at)?.type === "file") tree.unlink(at);
  using file = tree.create(at, 0o644);
  file.write(new TextEncoder().encode(bytes));
}

/** Other bytes, and all metadata as they were. */
function rewriteUnseen(tree: RootedDir, [at, bytes]: [LayerPath, string]): void {
  const stat = tree.stat(at);
  if (stat?.type !== "file") return;
  write(tree, at, bytes);
  tree.setOwner(at, stat.uid, stat.gid);
  tree.setMode(at, stat.mode);
  tree.setTimes(at, { atime: stat.atime, mtime: stat.mtime });
}

function directoryAnew(tree: RootedDir, at: LayerPath): void {
  tree.removeTree(at);
  tree.mkdir(at, 0o755);
}
