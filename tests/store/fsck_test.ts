// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type FsckFinding, type Layer, LayerStore } from "../../mod.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { runCli } from "../support/run_cli.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([file("base", "base")]);
const TOP = layerTar([file("top", "top")]);

interface Place {
  readonly scratch: ScratchRoot;
  readonly store: LayerStore;
  readonly base: Layer;
  readonly top: Layer;
  /** The base's record, and its directory in the driver. */
  readonly record: string;
  readonly data: string;
}

interface Damage {
  readonly make: (place: Place) => void;
  /** What is found, worst first. */
  readonly found: readonly string[];
  /** What a repair leaves: without force, and with it. */
  readonly left: readonly [safe: readonly string[], forced: readonly string[]];
}

const DAMAGES: Readonly<Record<string, Damage>> = {
  "a record that cannot be read": {
    make: ({ record }) => writeFileSync(join(record, "diff"), ""),
    found: ["damage layer-record-damaged", "damage layer-below-missing", "damage writable-layer-below-missing"],
    left: [
      ["damage layer-record-damaged", "damage layer-below-missing", "damage writable-layer-below-missing"],
      ["damage layer-below-missing", "damage writable-layer-below-missing"],
    ],
  },
  "a tar-split that is gone": {
    make: ({ record }) => rmSync(join(record, "tar-split.json.gz")),
    found: ["damage tar-split-missing"],
    left: [["damage tar-split-missing"], ["damage tar-split-missing"]],
  },
  "data that is gone": {
    make: ({ data }) => rmSync(data, { recursive: true }),
    found: ["damage layer-data-missing"],
    left: [["damage layer-data-missing"], ["damage layer-data-missing"]],
  },
  "a name that leads nowhere": {
    make: ({ store }) => rmSync(join(LayerStore.contextOf(store).layout.namesDir, "top")),
    found: ["repairable name-inconsistent"],
    left: [[], []],
  },
};

const OVERLAY_DAMAGES: Readonly<Record<string, Damage>> = {
  "a lost short name": {
    make: ({ scratch }) => {
      const links = join(scratch.root, "overlay2/l");
      for (const name of readdirSync(links)) rmSync(join(links, name));
    },
    found: Array.from({ length: 3 }, () => "repairable layer-files-inconsistent"),
    left: [[], []],
  },
  "a lost link file, and a wrong list of layers below": {
    make: ({ scratch, data }) => {
      rmSync(join(data, "link"));
      for (const name of readdirSync(join(scratch.root, "overlay2"))) {
        const lower = join(scratch.root, "overlay2", name, "lower");
        if (name !== "l" && readdirSync(join(lower, "..")).includes("lower")) writeFileSync(lower, "nonsense");
      }
    },
    found: ["repairable layer-files-inconsistent"],
    left: [[], []],
  },
};

for (const driver of DRIVERS) {
  describe(`fsck() on ${driver}`, () => {
    it("calls a sound store clean", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await fill(scratch, store);
      assert.deepEqual(await store.fsck({ depth: "contents", repair: "forced" }), {
        state: "clean",
        findings: [],
        repaired: [],
      });
    });

    for (const [what, damage] of Object.entries({ ...DAMAGES, ...driver === "overlay2" ? OVERLAY_DAMAGES : {} })) {
      for (const [index, repair] of (["safe", "forced"] as const).entries()) {
        it(`finds ${what}; a ${repair} repair does what it can`, async () => {
          using scratch = new ScratchRoot();
          await using store = await scratch.open({ driver });
          const place = await fill(scratch, store);
          damage.make(place);
          const before = await store.fsck();
          assert.deepEqual(worst(before.findings), damage.found);
          assert.equal(before.state, "damaged");
          assert.deepEqual(worst((await store.fsck()).findings), damage.found, "a check changes nothing");
          const after = await store.fsck({ repair });
          assert.deepEqual(worst(after.findings), damage.left[index]);
          await store.register(streamOf(BASE));
          assert.deepEqual(worst((await store.fsck({ depth: "contents", repair: "safe" })).findings), []);
          assert(readdirSync(await store.mount("rw")).includes("base"));
          await store.unmount("rw");
        });
      }
    }

    it("finds changed contents when it is asked to read them", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const { data } = await fill(scratch, store);
      writeFileSync(join(data, driver === "vfs" ? "base" : "diff/base"), "esab");
      assert.equal((await store.fsck()).state, "clean");
      assert.deepEqual(worst((await store.fsck({ depth: "contents" })).findings), ["damage layer-content-damaged"]);
    });

    it("ends with 1 for damage and 0 without, on the command line", async () => {
      using scratch = new ScratchRoot();
      const strata = (...args: string[]) =>
        runCli(["--root", scratch.root, "--run-root", join(scratch.dir, "run"), "--driver", driver, ...args]);
      await using store = await scratch.open({ driver });
      const { record } = await fill(scratch, store);
      const clean = await strata("fsck", "--full");
      assert.deepEqual([clean.code, clean.stdout], [0, "clean\n"]);
      assert.equal((await strata("gc", "--min-age", "0")).code, 0);
      rmSync(join(record, "tar-split.json.gz"));
      const damaged = await strata("fsck", "--json");
      assert.equal(damaged.code, 1);
      assert.equal(JSON.parse(damaged.stdout).findings[0].code, "tar-split-missing");
      assert.equal((await strata("fsck", "--force")).code, 2);
      assert.equal((await strata("gc", "--min-age", "soon")).code, 2);
    });
  });
}

async function fill(scratch: ScratchRoot, store: LayerStore): Promise<Place> {
  const base = await store.register(streamOf(BASE));
  const top = await store.register(streamOf(TOP), { parent: base.chainId });
  await store.catalog.add(top.chainId, { names: ["top"] });
  await store.createRWLayer("rw", { parent: base.chainId });
  const { layout, driver } = LayerStore.contextOf(store);
  const record = layout.layerDir(base.chainId);
  const cacheId = readFileSync(join(record, "cache-id"), "utf8");
  const data = driver.list().map((found) => driver.locate(found.cacheId).dir).find((dir) => dir.endsWith(cacheId))!;
  return { scratch, store, base, top, record, data };
}

/** Without information, and without what only follows from a damaged layer for records of the catalog. */
function worst(findings: readonly FsckFinding[]): string[] {
  return findings
    .filter(({ severity, code }) => severity !== "info" && code !== "catalog-record-dangling")
    .map(({ severity, code }) => `${severity} ${code}`);
}
