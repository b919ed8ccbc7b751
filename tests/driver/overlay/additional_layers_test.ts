// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Digest, parseDigest } from "../../../src/core/digest.ts";
import { hasCode } from "../../../src/core/errors.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import { OverlayDriver } from "../../../src/driver/overlay/overlay_driver.ts";
import { parseOverlayOptions } from "../../../src/driver/overlay/options.ts";
import { findMountProgram } from "../../../src/driver/overlay/mounting/mount_program.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { unmountBelow } from "../../../src/driver/parts/mounting.ts";
import { openDriver } from "../../../src/driver/registry.ts";
import { runCommand } from "../../../src/host/command.ts";
import { topId } from "../../../src/testing/driver_cases/case.ts";
import { addLayer, file, stageLayer } from "../../../src/testing/layer_builder.ts";
import { IS_ROOT, scratch } from "../../host/scratch.ts";

const skip = await probeOverlay(tmpdir()) ?? false;
const program = IS_ROOT ? findMountProgram() : undefined;
const TOC = digestOf("1");
const OTHER_TOC = digestOf("2");
const REF = "docker.io/library/x:latest";
const OLD = new Date(1_000_000);

describe("additional layer stores", { skip }, () => {
  it("give layers by the digest of their tables of contents", async () => {
    await using stores = new LayerStores();
    const { driver, store } = stores.open("");
    const dir = stores.add(`${store}/${TOC}`);
    assert.equal(await driver.additionalLayers.lookupAdditionalLayer(OTHER_TOC, REF), undefined);
    await using layer = (await driver.additionalLayers.lookupAdditionalLayer(TOC, REF))!;
    assert.deepEqual(JSON.parse(await textOf(layer.info())), { id: "theirs" });
    assert.equal(await textOf(layer.blob()), "blob");
    const id = randomCacheId();
    await layer.createAs(id, undefined);
    const own = driver.locate(id).dir;
    assert.equal(readFileSync(`${own}/additionallayer`, "utf8"), dir);
    assert.equal(readlinkSync(`${own}/diff`), `${dir}/diff`);
    assert.deepEqual(readdirSync(await driver.get(id)), ["a"]);
    await driver.put(id);
    await driver.remove(id);
    assert.deepEqual(readdirSync(dir).sort(), ["blob", "diff", "info"]);
    assert.equal(readFileSync(`${dir}/diff/a`, "utf8"), "1");
  });

  it("are looked through one after the other, by references where they have them", async () => {
    await using stores = new LayerStores();
    const { driver, store, second } = stores.open(":ref");
    const reference = `${store}/${Buffer.from(REF).toString("base64")}/${TOC}`;
    stores.add(reference);
    const plain = stores.add(`${second}/${TOC}`);
    await using named = (await driver.additionalLayers.lookupAdditionalLayer(TOC, REF))!;
    writeFileSync(`${reference}/info`, "by reference");
    assert.equal(await textOf(named.info()), "by reference");
    await using other = (await driver.additionalLayers.lookupAdditionalLayer(TOC, "another"))!;
    assert.deepEqual(JSON.parse(await textOf(other.info())), { id: "theirs" });
    for (const name of ["info", "blob", "diff"]) {
      rmSync(`${plain}/${name}`, { recursive: true });
      assert.equal(await driver.additionalLayers.lookupAdditionalLayer(TOC, "another"), undefined, `without ${name}`);
      stores.add(`${second}/${TOC}`);
    }
  });

  it("are told what is used, and what is used no more", async () => {
    await using stores = new LayerStores();
    const { driver, store } = stores.open("");
    const dir = stores.add(`${store}/${TOC}`);
    const { additionalLayers } = driver;
    const isTold = async (act: () => Promise<unknown>): Promise<boolean> => {
      utimesSync(dir, OLD, OLD);
      await act();
      assert.equal(existsSync(`${dir}/use`), false);
      return statSync(dir).mtimeMs !== OLD.getTime();
    };
    const id = randomCacheId();
    const layer = (await additionalLayers.lookupAdditionalLayer(TOC, REF))!;
    assert.equal(await isTold(() => additionalLayers.lookupAdditionalLayer(TOC, REF)), true);
    assert.equal(await isTold(() => layer.createAs(id, undefined)), true);
    assert.equal(await isTold(() => additionalLayers.lookupAdditionalLayerById(id)), true);
    assert.equal(await additionalLayers.lookupAdditionalLayerById(randomCacheId()), undefined);
    await assert.rejects(layer.createAs(id, undefined), (error) => hasCode(error, "CONFLICT"));
    // A file of that name is nobody's to remove.
    writeFileSync(`${dir}/use`, "theirs");
    await additionalLayers.lookupAdditionalLayer(TOC, REF);
    assert.equal(readFileSync(`${dir}/use`, "utf8"), "theirs");
    // A directory without files shows that it was to be removed.
    for (const end of [() => layer.release(), () => driver.remove(id)]) {
      for (const name of readdirSync(dir)) rmSync(`${dir}/${name}`, { recursive: true });
      await end();
      assert.equal(existsSync(dir), false);
      stores.add(dir);
    }
    await layer.release();
    assert.equal(existsSync(dir), true);
  });

  it("can be served by a program, which lets nobody write", { skip: program === undefined }, async () => {
    await using stores = new LayerStores();
    const { driver, store, second } = stores.open("");
    stores.add(`${second}/${TOC}`);
    // The first store shows the second one's layers.
    const options = `lowerdir=${second}:${store}`;
    const { code, stderr } = await runCommand(program!, ["-o", options, store]);
    assert.equal(code, 0, stderr);
    await using layer = (await driver.additionalLayers.lookupAdditionalLayer(TOC, REF))!;
    rmSync(`${second}/${TOC}/info`);
    const id = randomCacheId();
    await layer.createAs(id, undefined);
    const above = randomCacheId();
    await driver.createReadWrite(above, id);
    for (const mounted of [id, above]) {
      assert.equal(readFileSync(`${await driver.get(mounted)}/a`, "utf8"), "1");
      if (mounted === above) writeFileSync(`${driver.locate(above).dir}/merged/a`, "changed");
      await driver.put(mounted);
    }
    await driver.remove(above);
    await driver.remove(id);
    assert.equal(readFileSync(`${store}/${TOC}/diff/a`, "utf8"), "1");
  });

  it("are told when a layer of theirs is replaced", async () => {
    await using stores = new LayerStores();
    const { driver, store, work } = stores.open("");
    const dir = stores.add(`${store}/${TOC}`);
    await using layer = (await driver.additionalLayers.lookupAdditionalLayer(TOC, REF))!;
    const id = randomCacheId();
    await layer.createAs(id, undefined);
    const { sealed } = await stageLayer(driver, { archive: [file("a", "1")], work, cacheId: id });
    for (const name of readdirSync(dir)) rmSync(`${dir}/${name}`, { recursive: true });
    await driver.replace(sealed);
    assert.deepEqual([existsSync(dir), driver.outsideLayers.standInOf(id)], [false, undefined]);
  });

  it("carry layers, and are carried by layers", async () => {
    await using stores = new LayerStores();
    const { driver, store, work } = stores.open("");
    stores.add(`${store}/${TOC}`);
    const below = await addLayer(driver, { archive: [file("below", "0")], work });
    await using layer = (await driver.additionalLayers.lookupAdditionalLayer(TOC, REF))!;
    const id = randomCacheId();
    await layer.createAs(id, topId(below));
    const stack = await addLayer(driver, { archive: [file("c", "2")], below: [driver.locate(id), ...below], work });
    assert.deepEqual(readdirSync(await driver.get(topId(stack))).sort(), ["a", "below", "c"]);
    await driver.put(topId(stack));
  });
});

describe("the option additionallayerstore", () => {
  it("takes paths, and whether layers are found by references", () => {
    using dir = scratch();
    const parsed = (value: string) => {
      return parseOverlayOptions({ "overlay.additionallayerstore": value }).additionalLayerStores;
    };
    assert.deepEqual(parsed(`${dir.path},${dir.path}:ref`), [
      { path: dir.path, layout: "digests" },
      { path: dir.path, layout: "references" },
    ]);
    assert.equal(parsed(""), undefined);
    writeFileSync(`${dir.path}/file`, "");
    for (const value of ["x", `${dir.path}/none`, `${dir.path}/file`, `${dir.path}:x`, `${dir.path}:ref:ref`, ","]) {
      assert.throws(() => parsed(value), (error) => hasCode(error, "INVALID_ARGUMENT"), value);
    }
  });

  it("is unknown to vfs", () => {
    using dir = scratch();
    const options = { "vfs.additionallayerstore": dir.path };
    const open = () => openDriver({ name: "vfs", home: `${dir.path}/vfs`, options });
    assert.throws(open, (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});

/** Stores for one test. */
class LayerStores implements AsyncDisposable {
  readonly #scratch = scratch();
  readonly #template = join(this.#scratch.path, "template");
  #driver: OverlayDriver | undefined;

  /** A driver with two stores, of which the first has these flags. */
  open(flags: string) {
    const [store, second, work] = ["store", "second", "work"].map((name) => join(this.#scratch.path, name));
    for (const dir of [store!, second!, work!, join(this.#template, "diff")]) mkdirSync(dir, { recursive: true });
    writeFileSync(join(this.#template, "diff", "a"), "1");
    writeFileSync(join(this.#template, "info"), JSON.stringify({ id: "theirs" }));
    writeFileSync(join(this.#template, "blob"), "blob");
    const options = { "overlay2.additionallayerstore": `${store}${flags},${second}` };
    const home = join(this.#scratch.path, "own", "overlay2");
    const driver = this.#driver = new OverlayDriver({ name: "overlay2", home, options });
    return { driver, store: store!, second: second!, work: work! };
  }

  /** Makes a layer's directory complete. */
  add(dir: string): string {
    if (existsSync(`${dir}/use`)) unlinkSync(`${dir}/use`);
    cpSync(this.#template, dir, { recursive: true });
    return dir;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#driver?.cleanup();
    await unmountBelow(this.#scratch.path);
    this.#scratch[Symbol.dispose]();
  }
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

function digestOf(digit: string): Digest {
  return parseDigest(`sha256:${digit.repeat(64)}`);
}
