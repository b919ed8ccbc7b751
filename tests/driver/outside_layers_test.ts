// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { type ErrorCode, hasCode } from "../../src/core/errors.ts";
import type { IdMappings } from "../../src/core/id_map.ts";
import { type CacheId, randomCacheId } from "../../src/core/ids.ts";
import { type Driver, outsideLayersOf, stackOf as knownStack } from "../../src/driver/driver.ts";
import type { OutsideTree } from "../../src/driver/interfaces/outside_layers.ts";
import { completeDriver } from "../../src/driver/naive/complete_driver.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { removeTree } from "../../src/driver/parts/requests.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { runCommand } from "../../src/host/command.ts";
import { at, inTree, listingAt, put, topId } from "../../src/testing/driver_cases/case.ts";
import { addLayer, dir, file, type LayerMember, whiteout } from "../../src/testing/layer_builder.ts";
import { contentOf, shapeOf } from "../../src/testing/tree_listing.ts";
import { IS_ROOT, scratch } from "../host/scratch.ts";
import { partsOf } from "../support/driver_parts.ts";

const noOverlay = await probeOverlay(tmpdir()) ?? false;
const LAYERS = [[dir("d"), file("d/a", "1", { uid: 5, gid: 6 }), file("b", "1")], [whiteout("b"), file("c", "2")]];
const MAPPINGS: IdMappings = {
  uids: [{ containerId: 0, hostId: 200_000, size: 1000 }],
  gids: [{ containerId: 0, hostId: 300_000, size: 1000 }],
};

for (const name of ["overlay2", "vfs"]) {
  describe(`layers of other stores, ${name}`, { skip: noOverlay }, () => {
    it("work where nothing can be written", { skip: IS_ROOT ? false : "mounting needs root" }, async () => {
      await using stores = await Stores.make(name, { other: "read-only" });
      const { driver, dirs } = stores;
      const before = dirs.map(traceOf);
      const [base, top] = await stores.standIns();
      for (const options of [{ access: "read-only" }, {}] as const) {
        assert.deepEqual(readdirSync(await driver.get(top, options)).sort(), ["c", "d"]);
        await driver.put(top);
      }
      const stack = name === "vfs" ? [driver.locate(top)] : [driver.locate(top), driver.locate(base)];
      const above = await addLayer(driver, { archive: [file("d/x", "3")], below: stack, work: stores.work });
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(above));
      inTree(await driver.get(id), (tree) => {
        put(tree, "d/a", "changed");
        tree.unlink(at("c"));
      });
      await driver.put(id);
      assert.ok(await driver.diffSize(id, topId(above)) > 0);
      assert.throws(() => writeFileSync(`${dirs[0]}/new`, ""), /EROFS/);
      for (const layer of [id, topId(above), top, base]) await driver.remove(layer);
      assert.deepEqual(dirs.map(traceOf), before);
    });

    it("leave what they stand for when they are removed, in whatever way", async () => {
      await using stores = await Stores.make(name);
      const { driver, dirs } = stores;
      const before = dirs.map(traceOf);
      const [base, top] = await stores.standIns();
      await driver.get(top, { access: "read-only" });
      await driver.remove(top);
      await removeTree("remove the layer", driver.locate(base).dir);
      assert.deepEqual([top, base].map((id) => driver.exists(id)), [false, false]);
      for (const { path } of driver.debris()) await driver.removeDebris({ path, what: "", modifiedMs: 0, use: "none" });
      assert.deepEqual(driver.debris(), []);
      assert.deepEqual(dirs.map(traceOf), before);
    });

    it("are reported and refused when the other store is gone, and can be removed", async () => {
      await using stores = await Stores.make(name);
      const { driver, dirs } = stores;
      const [base] = await stores.standIns();
      rmSync(dirs[0]!, { recursive: true });
      const [fault] = driver.check(base, []);
      assert.deepEqual([fault?.path, fault?.mending], [dirs[0], "impossible"]);
      assert.match(fault?.problem ?? "", /another store/);
      await driver.mend(base, []);
      assert.throws(() => driver.view([driver.locate(base)]), isError("CORRUPT"));
      if (name === "overlay2") await assert.rejects(driver.get(base, { access: "read-only" }), isError("CORRUPT"));
      await driver.remove(base);
      assert.equal(driver.exists(base), false);
    });

    it("are refused where they make no sense, and nothing is left", async () => {
      await using stores = await Stores.make(name);
      const { driver, dirs, root } = stores;
      const [base] = await stores.standIns();
      writeFileSync(join(root, "file"), "");
      const { home } = driver.spec;
      const before = listingAt(home);
      const inHome = `${home}/${name === "vfs" ? "dir" : "l"}`;
      for (const path of ["relative", join(root, "missing"), join(root, "file"), home, inHome, root]) {
        const made = stores.standIn({ dir: path });
        await assert.rejects(made, isError("INVALID_ARGUMENT"), path);
      }
      const outside: OutsideTree = { dir: dirs[0]! };
      await assert.rejects(stores.standIn(outside, { id: base }), isError("CONFLICT"));
      await assert.rejects(stores.standIn(outside, { parent: randomCacheId() }), isError("NOT_FOUND"));
      assert.deepEqual(listingAt(home), before);
    });

    it("keep the ids that they have", { skip: IS_ROOT ? false : "changing owners needs root" }, async () => {
      await using stores = await Stores.make(name, { idMappings: MAPPINGS });
      const { driver } = stores;
      const [base] = await stores.standIns();
      const theirs = await stores.standIn({ dir: stores.dirs[0]!, idMappings: MAPPINGS });
      const ownerIn = (id: CacheId) => inView(driver, id, (view) => view.stat(at("d/a"))?.uid);
      assert.equal(ownerIn(base), 5);
      assert.throws(() => ownerIn(theirs), isError("INVALID_ARGUMENT"), "no container's user owns the files");
      await assert.rejects(
        async () => await driver.updateLayerIdMap(base, { from: { uids: [], gids: [] }, to: MAPPINGS }),
        isError("IN_USE"),
      );
    });
  });
}

describe("layers of other stores, overlay2", { skip: noOverlay }, () => {
  it("are never written to, whatever becomes of their marks", async () => {
    await using stores = await Stores.make("overlay2");
    const { driver } = stores;
    const [base, top] = await stores.standIns();
    const before = stores.dirs.map(traceOf);
    for (const id of [base, top]) unlinkSync(`${driver.locate(id).dir}/committed`);
    for (const id of [base, top]) {
      const path = await driver.get(id);
      assert.throws(() => writeFileSync(`${path}/new`, ""), /EROFS/);
      await driver.put(id);
    }
    assert.deepEqual(stores.dirs.map(traceOf), before);
  });

  it("are reached by one symlink only, which is mended", async () => {
    await using stores = await Stores.make("overlay2");
    const { driver, dirs } = stores;
    const [base] = await stores.standIns();
    const diff = `${driver.locate(base).dir}/diff`;
    for (const target of [dirs[1]!, "../l", "/"]) {
      rmSync(diff);
      symlinkSync(target, diff);
      assert.throws(() => driver.view([driver.locate(base)]), isError("CORRUPT"));
      await assert.rejects(driver.get(base, { access: "read-only" }), isError("CORRUPT"));
      assert.deepEqual(driver.check(base, []).map(({ path, mending }) => [path, mending]), [[diff, "possible"]]);
      await driver.mend(base, []);
      assert.deepEqual(driver.check(base, []), []);
      assert.deepEqual(inView(driver, base, shapeOf), { "d/": "", "d/a": "1", b: "1" });
    }
    unlinkSync(`${driver.locate(base).dir}/outside`);
    assert.throws(() => driver.view([driver.locate(base)]), isError("CORRUPT"));
    assert.equal(driver.check(base, [])[0]?.mending, "impossible");
    await driver.remove(base);
    assert.ok(existsSync(`${dirs[0]}/b`));
  });

  it("appear in one step, and what was not finished is garbage", async () => {
    await using stores = await Stores.make("overlay2");
    const { driver } = stores;
    const left = `${driver.spec.home}/.overlay-stand-in-x`;
    mkdirSync(left);
    symlinkSync(stores.dirs[0]!, `${left}/diff`);
    const [debris] = driver.debris();
    assert.deepEqual([debris?.path, debris?.use], [left, "momentary"]);
    await driver.removeDebris(debris!);
    assert.deepEqual([existsSync(left), existsSync(`${stores.dirs[0]}/b`)], [false, true]);
  });

  it("are mapped by mounts like others", { skip: IS_ROOT ? false : "mounting needs root" }, async (t) => {
    await using stores = await Stores.make("overlay2");
    const { driver, dirs } = stores;
    if (await driver.supportsShifting(MAPPINGS) === "no") return t.skip("the kernel cannot map mounts here");
    const [base, top] = await stores.standIns();
    const id = randomCacheId();
    await driver.createReadWrite(id, top);
    for (const layer of [base, top, id]) {
      const path = await driver.get(layer, { idMappings: MAPPINGS });
      const { uid, gid } = statSync(`${path}/d/a`);
      assert.deepEqual([uid, gid], [200_005, 300_006]);
      await driver.put(layer);
    }
    assert.equal(statSync(`${dirs[0]}/d/a`).uid, 5);
    assert.deepEqual(readdirSync(driver.spec.home).filter((name) => name.startsWith(".")), []);
  });

  it("are not rewritten for the kernel when a mount program wrote them", async () => {
    await using stores = await Stores.make("overlay2");
    const { driver, dirs } = stores;
    writeFileSync(`${dirs[0]}/d/.wh.gone`, "");
    const before = dirs.map(traceOf);
    const base = await stores.standIn({ dir: dirs[0]!, form: ["program"] });
    const id = randomCacheId();
    await driver.createReadWrite(id, base);
    for (const layer of [base, id]) await assert.rejects(driver.get(layer), isError("NOT_SUPPORTED"));
    assert.deepEqual(inView(driver, base, (view) => view.list(at("d")).map(({ name }) => name)), ["a"]);
    assert.deepEqual(dirs.map(traceOf), before);
  });

  it("can be in the form of force_mask", async () => {
    await using stores = await Stores.make("overlay2", { options: { "overlay2.force_mask": "shared" } });
    const { driver } = stores;
    const tree = stores.other.outsideLayers!.asOutside(topId(stores.originals.slice(1)));
    assert.deepEqual(tree.form, ["override"]);
    const id = await stores.standIn(tree);
    using view = viewOf(driver, id);
    const { uid, gid, mode } = view.stat(at("d/a"))!;
    assert.deepEqual([uid, gid, mode], [5, 6, 0o644]);
    assert.equal(new TextDecoder().decode(contentOf(view, at("d/a"))), "1");
  });
});

describe("outsideLayersOf()", () => {
  it("says what to do where a driver has none", async () => {
    await using stores = await Stores.make("vfs");
    const completed = completeDriver(partsOf(stores.driver, {}));
    assert.throws(() => outsideLayersOf(completed), isError("NOT_SUPPORTED"));
    const { outsideLayers } = stores.driver;
    assert.equal(
      outsideLayersOf(completeDriver(partsOf(stores.driver, { outsideLayers: outsideLayers! }))),
      outsideLayers,
    );
  });
});

interface StoresOptions {
  readonly other?: "writable" | "read-only";
  readonly options?: Readonly<Record<string, string>>;
  readonly idMappings?: IdMappings;
}

/** A store with two layers, and another that uses them. */
class Stores implements AsyncDisposable {
  readonly root: string;
  readonly driver: Driver;
  readonly other: Driver;
  /** Top first. */
  originals: readonly { readonly cacheId: CacheId; readonly dir: string }[] = [];
  /** The directories outside, base first. */
  dirs: readonly string[] = [];
  readonly #scratch: ReturnType<typeof scratch>;
  readonly #name: string;

  private constructor(name: string, { options = {}, idMappings }: StoresOptions) {
    this.#scratch = scratch();
    this.#name = name;
    this.root = this.#scratch.path;
    for (const dir of ["work", "seen"]) mkdirSync(join(this.root, dir));
    this.other = openDriver({ name, home: join(this.root, "other", name), options });
    const maps = idMappings === undefined ? {} : { idMappings };
    this.driver = openDriver({ name, home: join(this.root, "own", name), options: {}, ...maps });
  }

  static async make(name: string, options: StoresOptions = {}): Promise<Stores> {
    const stores = new Stores(name, options);
    for (const archive of LAYERS as readonly (readonly LayerMember[])[]) {
      stores.originals = await addLayer(stores.other, { archive, below: stores.originals, work: stores.work });
    }
    const outside = stores.originals.map(({ cacheId }) => stores.other.outsideLayers!.asOutside(cacheId).dir).reverse();
    stores.dirs = outside;
    if (options.other === "read-only") {
      const [from, seen] = [join(stores.root, "other"), join(stores.root, "seen")];
      for (const args of [["--bind", from, seen], ["-o", "remount,bind,ro", seen]]) {
        const { code, stderr } = await runCommand("mount", args);
        assert.equal(code, 0, stderr);
      }
      stores.dirs = outside.map((dir) => dir.replace(from, seen));
    }
    return stores;
  }

  get work(): string {
    return join(this.root, "work");
  }

  async standIn(
    outside: OutsideTree,
    { id = randomCacheId(), parent }: { readonly id?: CacheId; readonly parent?: CacheId } = {},
  ): Promise<CacheId> {
    await this.driver.outsideLayers!.createStandIn(id, parent, outside);
    return id;
  }

  /** The layers of the other store, base first. */
  async standIns(): Promise<readonly [CacheId, CacheId]> {
    const base = await this.standIn({ dir: this.dirs[0]! });
    return [base, await this.standIn({ dir: this.dirs[1]! }, { parent: base })];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver.cleanup();
    await this.other.cleanup();
    await runCommand("umount", [join(this.root, "seen")]);
    this.#scratch[Symbol.dispose]();
  }
}

function viewOf(driver: Driver, id: CacheId) {
  const view = driver.view(knownStack(driver, id));
  if (view instanceof Promise) throw new Error("these drivers need no mount for a view");
  return view;
}

function inView<T>(driver: Driver, id: CacheId, use: (view: TreeView) => T): T {
  using view = viewOf(driver, id);
  return use(view);
}

/** All that a write would change. */
function traceOf(path: string): readonly string[] {
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).sort();
  return ["", ...names].map((name) => {
    const { ino, ctimeMs, nlink } = statSync(join(path, name));
    return [name, ino, ctimeMs, nlink].join();
  });
}

function isError(code: ErrorCode): (error: unknown) => boolean {
  return (error) => hasCode(error, code);
}
