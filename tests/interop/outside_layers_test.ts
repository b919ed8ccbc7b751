// SPDX-License-Identifier: Apache-2.0
/**
 * dockerd works on layers whose files lie in another store: it mounts, compares, saves and removes them, and what they
 * stand for stays.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { standFor } from "../../src/driver/overlay/outside/outside_diff.ts";
import { OverlayDriver } from "../../src/driver/overlay/overlay_driver.ts";
import { markCommitted } from "../../src/driver/overlay/seal.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { shapeOf } from "../../src/testing/tree_listing.ts";
import { Dockerd } from "../support/dockerd.ts";
import { needsPrograms, unlessMissing } from "../support/interop.ts";

const needs = process.geteuid?.() === 0
  ? needsPrograms("dockerd", "docker", "sha256sum", "tar")
  : unlessMissing("dockerd needs root");
/** The daemon keeps its data on no overlay, which temporary files may lie on. */
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

describe("dockerd, on layers of another store", needs, () => {
  it("mounts, compares, saves and removes them, and leaves that store alone", async () => {
    const scratch = mkdtempSync(`${SCRATCH_PARENT}/strata-outside-`);
    const [root, outside] = [join(scratch, "root"), join(scratch, "outside")];
    try {
      const before = await withDockerd(scratch, (dockerd) => {
        makeImage(dockerd, scratch);
        return savedLayers(dockerd, scratch);
      });
      assert.equal(before.length, 2);
      const moved = moveOutside(root, outside);
      assert.equal(moved.length, 2);
      const trace = traceOf(outside);
      await withDockerd(scratch, (dockerd) => {
        assert.deepEqual(savedLayers(dockerd, scratch), before);
        const container = dockerd.docker("create", "edited:1", "/none");
        dockerd.docker("cp", `${container}:/d/new`, join(scratch, "copied"));
        writeFileSync(join(scratch, "mine"), "3");
        dockerd.docker("cp", join(scratch, "mine"), `${container}:/d/old`);
        assert.equal(dockerd.docker("diff", container), "C /d\nC /d/old");
        dockerd.docker("rm", container);
        assert.deepEqual(traceOf(outside), trace);
        dockerd.docker("rmi", "edited:1", "base:1");
        assert.equal(dockerd.docker("images", "-q"), "");
      });
      for (const id of moved) assert.equal(existsSync(`${root}/overlay2/${id}`), false);
      assert.deepEqual(traceOf(outside), trace);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
});

async function withDockerd<T>(scratch: string, use: (dockerd: Dockerd) => T): Promise<T> {
  await using dockerd = await Dockerd.start(join(scratch, "exec"), join(scratch, "root"));
  return use(dockerd);
}

/** An image of one layer, and one with a second upon it. */
function makeImage(dockerd: Dockerd, scratch: string): void {
  const archive = join(scratch, "layer.tar");
  writeFileSync(archive, layerTar([dir("d"), file("d/old", "1"), file("gone", "1")]));
  dockerd.docker("import", archive, "base:1");
  const container = dockerd.docker("create", "base:1", "/none");
  writeFileSync(join(scratch, "new"), "2");
  dockerd.docker("cp", join(scratch, "new"), `${container}:/d/new`);
  dockerd.docker("commit", container, "edited:1");
  dockerd.docker("rm", container);
}

/** The digests of an image's layers, in the archive of `docker save`. */
function savedLayers(dockerd: Dockerd, scratch: string): readonly string[] {
  const saved = join(scratch, "saved");
  rmSync(saved, { recursive: true, force: true });
  mkdirSync(saved);
  dockerd.docker("save", "-o", `${saved}.tar`, "edited:1");
  assert.equal(spawnSync("tar", ["-xf", `${saved}.tar`, "-C", saved]).status, 0);
  const files = readdirSync(saved, { recursive: true, encoding: "utf8" }).map((name) => join(saved, name));
  const layers = files.filter((path) => statSync(path).isFile() && spawnSync("tar", ["-tf", path]).status === 0);
  return layers.map((path) => spawnSync("sha256sum", [path], { encoding: "utf8" }).stdout.slice(0, 64)).sort();
}

/** Has every layer of a root stand for its files in another place; gives the layers' names. */
function moveOutside(root: string, outside: string): readonly string[] {
  const driver = new OverlayDriver({ name: "overlay2", home: join(root, "overlay2"), options: {} });
  const shapes = () => driver.list().map(({ cacheId }) => shapeAt(driver, cacheId));
  const before = shapes();
  const ids = driver.list().map(({ cacheId }) => cacheId);
  for (const id of ids) {
    const { dir } = driver.locate(id);
    mkdirSync(join(outside, id), { recursive: true });
    renameSync(join(dir, "diff"), join(outside, id, "diff"));
    standFor(dir, join(outside, id, "diff"));
    // As every layer of another store, so that dockerd never writes there either.
    markCommitted(dir);
    assert.deepEqual(driver.check(id, driver.parentsOf(id)), []);
    assert.equal(driver.outsideLayers.standInOf(id), join(outside, id, "diff"));
  }
  assert.deepEqual(shapes(), before);
  return ids;
}

function shapeAt(driver: OverlayDriver, id: Parameters<OverlayDriver["locate"]>[0]) {
  using view = driver.view([driver.locate(id), ...driver.parentsOf(id)]);
  return shapeOf(view);
}

function traceOf(path: string): readonly string[] {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
  return names.map((name) => {
    const { ino, ctimeMs, nlink } = statSync(join(path, name));
    return [name, ino, ctimeMs, nlink].join();
  });
}
