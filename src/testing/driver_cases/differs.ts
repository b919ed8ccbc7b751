// SPDX-License-Identifier: Apache-2.0
/**
 * Layers whose files a differ has brought.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import { hasCode } from "../../core/errors.ts";
import { type CacheId, randomCacheId, randomId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import type { StagedTree, TreeDiffer } from "../../driver/interfaces/differ_driver.ts";
import { pathExists, statPath } from "../../host/files.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { dir, file, hardlink, layerTar, opaque, symlink, whiteout } from "../layer_builder.ts";
import {
  assertMerged,
  at,
  bytesOf,
  type DriverCase,
  type DriverContext,
  keepsOwners,
  layerListing,
  put,
  stackOf,
  topId,
} from "./case.ts";

/** Cases about differs. */
export const differCases: readonly DriverCase[] = [
  { name: "differs: what one staged is the layer that its tar would have made", run: makesTheLayer },
  { name: "differs: what one staged hides what it says, and nothing else", run: hidesWhatItSays },
  { name: "differs: the root stays as it was, unless the staged tree's is wanted", run: keepsRoot },
  { name: "differs: one that fails leaves nothing, and no other's staging directory is touched", run: leavesNothing },
  { name: "differs: what was staged under other ids is refused", run: refusesOtherIds, needs: keepsOwners },
  { name: "differs: a layer's own files are where the driver says", run: tellsTarget },
];

const BASE = [dir("d"), file("d/old", "1"), file("d/gone", "1"), dir("e"), file("e/hidden", "1"), file("f", "1")];
const METADATA = { mtime: { sec: 1_700_000_000, nsec: 123_456_789 } };

/** Has a differ stage what the function makes. */
async function stage(
  { driver, work }: DriverContext,
  make: (target: RootedDir) => void,
): Promise<StagedTree> {
  const differ: TreeDiffer<string> = {
    applyDiff(target, { workDir }) {
      assert(pathExists(workDir));
      make(target);
      return Promise.resolve("made");
    },
  };
  const { staged, output } = await driver.differs.applyDiffWithDiffer(differ, { staging: `${work}/${randomId()}` });
  assert.equal(output, "made");
  assert(pathExists(staged.dir));
  return staged;
}

async function blankOn({ driver }: DriverContext, parent: CacheId): Promise<CacheId> {
  const id = randomCacheId();
  await driver.create(id, parent);
  return id;
}

function makeTree(target: RootedDir): void {
  target.mkdir(at("d"), 0o750);
  put(target, "d/new", "2");
  target.link(at("d/new"), at("d/again"));
  target.symlink(at("s"), fromText("d/new"));
  put(target, "f", "22");
  target.setMode(at("f"), 0o640);
  for (const name of ["d/new", "s", "f", "d"]) target.setTimes(at(name), { atime: METADATA.mtime, ...METADATA });
}

async function makesTheLayer(context: DriverContext): Promise<void> {
  const { driver } = context;
  const base = topId(await stackOf(context, [BASE]));
  const [ours, theirs] = [await blankOn(context, base), await blankOn(context, base)];
  const staged = await stage(context, makeTree);
  await driver.differs.applyDiffFromStagingDirectory(ours, base, staged);
  await driver.differs.cleanupStagingDirectory(staged.staging);
  assert.equal(pathExists(staged.staging), false);
  await driver.differs.cleanupStagingDirectory(staged.staging);
  const owner = ownerOf(context);
  const tar = layerTar([
    dir("d", { mode: 0o750, ...owner, ...METADATA }),
    file("d/new", "2", { ...owner, ...METADATA }),
    hardlink("d/again", "d/new"),
    symlink("s", "d/new", { ...owner, ...METADATA }),
    file("f", "22", { mode: 0o640, ...owner, ...METADATA }),
  ]);
  await driver.applyDiff(theirs, base, { kind: "tar", stream: new Blob([new Uint8Array(tar)]).stream() });
  assert.deepEqual(await layerListing(driver, ours), await layerListing(driver, theirs));
  assert.deepEqual(await driver.changes(ours, base), await driver.changes(theirs, base));
  assert.equal(await driver.diffSize(ours, base), await driver.diffSize(theirs, base));
  assert.deepEqual(await bytesOf(driver.diff(ours, base)), await bytesOf(driver.diff(theirs, base)));
}

/** What a differ makes belongs to this process, or to the root of the home's maps: an archive would call both the same. */
function ownerOf({ driver, work }: DriverContext): { readonly uid: number; readonly gid: number } {
  if (driver.spec.idMappings !== undefined) return { uid: 0, gid: 0 };
  const { uid, gid } = statPath(work)!;
  return { uid, gid };
}

async function hidesWhatItSays(context: DriverContext): Promise<void> {
  const { driver } = context;
  const below = await stackOf(context, [BASE, [file("d/second", "2"), symlink("l", "d")]]);
  const id = await blankOn(context, topId(below));
  const staged = await stage(context, (target) => {
    target.mkdir(at("e"), 0o755);
    put(target, "e/new", "3");
  });
  // What is not there hides nothing, and the last one leads through a symlink.
  const whiteouts = ["d/gone", "f", "never", "never/was", "l/old"].map(at);
  await driver.differs.applyDiffFromStagingDirectory(id, topId(below), { ...staged, whiteouts, opaques: [at("e")] });
  await driver.differs.cleanupStagingDirectory(staged.staging);
  const shown = { "d/": "", "d/old": "1", "d/second": "2", "e/": "", "e/new": "3", l: "-> d" };
  await assertMerged(context, stackIn(driver, id), shown);
  const theirs = await blankOn(context, topId(below));
  const tar = layerTar([whiteout("d/gone"), whiteout("f"), dir("e"), opaque("e"), file("e/new", "3")]);
  await driver.applyDiff(theirs, topId(below), { kind: "tar", stream: new Blob([new Uint8Array(tar)]).stream() });
  assert.deepEqual(await driver.changes(id, topId(below)), await driver.changes(theirs, topId(below)));
}

async function keepsRoot(context: DriverContext): Promise<void> {
  const { driver } = context;
  const base = topId(await stackOf(context, [[dir("./", { mode: 0o711 }), ...BASE]]));
  for (const [root, mode] of [["as below", 0o711], ["as staged", 0o751]] as const) {
    const id = await blankOn(context, base);
    const staged = await stage(context, (target) => {
      put(target, "new", "1");
      target.setMode(ROOT, 0o751);
    });
    await driver.differs.applyDiffFromStagingDirectory(id, base, { ...staged, root });
    await driver.differs.cleanupStagingDirectory(staged.staging);
    await using view = await driver.view(stackIn(driver, id));
    assert.equal(view.stat(ROOT)?.mode, mode);
  }
}

async function leavesNothing(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const staging = `${work}/${randomId()}`;
  const broken: TreeDiffer<never> = {
    applyDiff(target, { workDir }) {
      put(target, "half", "1");
      assert(workDir.startsWith(staging));
      return Promise.reject(new Error("the network is gone"));
    },
  };
  const { differs } = driver;
  await assert.rejects(differs.applyDiffWithDiffer(broken, { staging }), /the network is gone/);
  assert.equal(pathExists(staging), false);
  const signal = AbortSignal.abort();
  await assert.rejects(differs.applyDiffWithDiffer(broken, { staging, signal }), coded("ABORTED"));
  assert.equal(pathExists(staging), false);
  const staged = await stage(context, (target) => put(target, "kept", "1"));
  await assert.rejects(differs.applyDiffWithDiffer(broken, { staging: staged.staging }), coded("CONFLICT"));
  assert(pathExists(`${staged.dir}/kept`));
  const missing = randomCacheId();
  await assert.rejects(differs.applyDiffFromStagingDirectory(missing, undefined, staged), coded("NOT_FOUND"));
  assert.equal(driver.exists(missing), false);
  await differs.cleanupStagingDirectory(staged.staging);
  const id = await blankOn(context, topId(await stackOf(context, [BASE])));
  await assert.rejects(differs.applyDiffFromStagingDirectory(id, undefined, staged), coded("NOT_FOUND"));
}

async function refusesOtherIds(context: DriverContext): Promise<void> {
  const { driver } = context;
  const base = topId(await stackOf(context, [BASE]));
  const id = await blankOn(context, base);
  const before = await layerListing(driver, id);
  const staged = await stage(context, (target) => put(target, "new", "1"));
  const map = [{ containerId: 0, hostId: 70_000, size: 1000 }];
  const other = { ...staged, idMappings: { uids: map, gids: map } };
  await assert.rejects(driver.differs.applyDiffFromStagingDirectory(id, base, other), coded("INVALID_ARGUMENT"));
  assert.deepEqual(await layerListing(driver, id), before);
  await driver.differs.applyDiffFromStagingDirectory(id, base, staged);
  await driver.differs.cleanupStagingDirectory(staged.staging);
}

async function tellsTarget(context: DriverContext): Promise<void> {
  const { driver } = context;
  const cacheId = topId(await stackOf(context, [[file("own", "1")]]));
  assert.throws(() => driver.differs.differTarget(randomCacheId()), coded("NOT_FOUND"));
  try {
    assert(pathExists(`${driver.differs.differTarget(cacheId)}/own`));
  } catch (error) {
    // A driver may keep its layers in another form than directories.
    if (!hasCode(error, "NOT_SUPPORTED")) throw error;
  }
}

function coded(code: Parameters<typeof hasCode>[1]): (error: unknown) => boolean {
  return (error) => hasCode(error, code);
}
