// SPDX-License-Identifier: Apache-2.0
/**
 * A root that a real dockerd filled, as a further root: nobody put records there, and everything that reads finds its layers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { type ChainId, LayerStore } from "../../mod.ts";
import { chainOn } from "../../src/core/chain_id.ts";
import { digestOf, parseDiffId } from "../../src/core/digest.ts";
import { dir, file, layerTar, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { changedPaths, changeListing } from "../support/change_listing.ts";
import { Dockerd } from "../support/dockerd.ts";
import { archiveOf, dockerFiles } from "../support/image_builder.ts";
import { needsPrograms, unlessMissing } from "../support/interop.ts";
import { type CliResult, runCli } from "../support/run_cli.ts";
import { bytesOf, streamOf } from "../support/scratch_store.ts";

/** Docker does not work on an overlay; where there is memory with a file system in it, it does. */
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const TARS: readonly Uint8Array[] = [
  layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/gone", "gone\n"), symlink("link", "etc")]),
  layerTar([dir("opt"), file("opt/tool", "#!/bin/sh\n")]),
  layerTar([file("top", "top\n"), whiteout("etc/gone")]),
];
const BESIDE = layerTar([dir("srv"), file("srv/page", "page\n")]);
const NEW = layerTar([file("new", "new\n"), whiteout("top")]);

/** The stacks of both images, bottom to top. */
const CHAIN = chainsOf(TARS);
const BESIDE_CHAIN = chainOn(CHAIN[0], parseDiffId(digestOf(BESIDE)));
const TAR_OF = new Map([...CHAIN.map((id, index) => [id, TARS[index]!] as const), [BESIDE_CHAIN, BESIDE] as const]);
const SORTED = [...TAR_OF.keys()].sort();

const needs = process.geteuid?.() === 0 ? needsPrograms("dockerd", "docker") : unlessMissing("dockerd needs root");

describe("a root that a dockerd filled, as a further root", needs, () => {
  let scratch = "";
  let theirs = "";
  let container = "";
  let listing: ReturnType<typeof changeListing>;

  before(async () => {
    scratch = mkdtempSync(`${SCRATCH_PARENT}/strata-docker-root-`);
    theirs = `${scratch}/docker`;
    container = await fillDockerRoot(scratch, theirs);
    listing = changeListing(theirs);
  });
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  /** A command on a store of the test's own, which has the root as a further one. */
  const run = (own: string, ...words: string[]): Promise<CliResult> => {
    const env = { STRATA_ROOT: `${scratch}/${own}`, STRATA_RUN_ROOT: `${scratch}/${own}-run` };
    return runCli(["--read-only-root", theirs, ...words], { env });
  };
  const ok = async (own: string, ...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(own, ...words);
    assert.equal(code, 0, `strata ${words.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  };
  const assertUntouched = (): void => assert.deepEqual(changedPaths(listing, changeListing(theirs)), []);

  it("is listed: its layers by ChainID, and its container", async () => {
    assert.equal(await ok("lists", "layers", "-q"), [...SORTED, container].join("\n"));
    const { layers } = JSON.parse(await ok("lists", "layers", "--json"));
    for (const [id, tar] of TAR_OF) {
      const layer = layers.find((each: { id: string }) => each.id === id);
      assert.deepEqual([layer.diffId, layer.names, layer.root, layer.state], [digestOf(tar), [], theirs, "ok"]);
    }
    const short = (id: ChainId): string => id.slice(7, 19);
    const tree = await ok("lists", "layers", "--tree");
    assert.ok(tree.startsWith(`${short(CHAIN[0])} `), tree);
    assert.ok(tree.includes(`   └─ writable ${container} [${theirs}]\n`), tree);
    for (const id of SORTED) assert.ok(tree.includes(short(id)), tree);
    assertUntouched();
  });

  it("is inspected, verified and exported byte for byte, as it was loaded", async () => {
    for (const [id, tar] of TAR_OF) {
      const [inspection] = JSON.parse(await ok("reads", "inspect", id));
      assert.deepEqual([inspection.chainId, inspection.root, inspection.diffId], [id, theirs, digestOf(tar)]);
      assert.equal(inspection.driver.name, "overlay2");
      assert.equal(await ok("reads", "verify", id), `ok ${id}`);
      assert.deepEqual((await run("reads", "export", id.slice(7, 19))).stdoutBytes, tar);
      assert.equal((await run("reads", "exists", id)).code, 0);
    }
    assert.equal(await ok("reads", "changes", CHAIN[2]), "C /\nC /etc\nD /etc/gone\nA /top");
    assert.match(await ok("reads", "changes", container), /^A \/note$/m);
    assertUntouched();
  });

  it("is mounted for reading, layers and container", async () => {
    const path = await ok("mounts", "mount", CHAIN[2]);
    try {
      assert.deepEqual(readdirSync(path).sort(), ["etc", "link", "opt", "top"]);
      assert.deepEqual(readdirSync(`${path}/etc`), ["motd"]);
      assert.throws(() => writeFileSync(`${path}/top`, "changed"), { code: "EROFS" });
    } finally {
      await ok("mounts", "unmount", CHAIN[2]);
    }
    const box = await ok("mounts", "mount", container);
    try {
      assert.equal(readFileSync(`${box}/note`, "utf8"), "a note\n");
    } finally {
      await ok("mounts", "unmount", container);
    }
    assert.equal(await ok("mounts", "mounts", "-q"), "");
    assertUntouched();
  });

  it("has layers that new ones lie on, and writable ones", async () => {
    const root = `${scratch}/builds`;
    {
      await using store = await openOn(root, theirs);
      assert.deepEqual(
        store.contents().layers.map(({ layer, root }) => [layer.chainId, root]),
        SORTED.map((id) => [id, theirs]),
      );
      const [further] = store.roots();
      assert.deepEqual([further?.path, further?.kind, further?.driver], [theirs, "strata", "overlay2"]);
      assert.deepEqual([...further!.layers().layers.keys()], SORTED);
      const record = await store.catalog.put({ names: ["more"], parent: CHAIN[2], diff: streamOf(NEW) });
      assert.deepEqual(record.target, { kind: "layer", chainId: chainOn(CHAIN[2], parseDiffId(digestOf(NEW))) });
      assert.deepEqual(await bytesOf(store.catalog.diff("more")), NEW);
      await store.createRWLayer("work", { parent: CHAIN[1]! });
      const path = await store.mount("more");
      try {
        assert.deepEqual(readdirSync(path).sort(), ["etc", "link", "new", "opt"]);
      } finally {
        await store.unmount("more");
      }
      // Own is own, also where it only stands for one there; and what has gone is theirs again.
      const owned = store.contents().layers.filter(({ root }) => root === undefined).map(({ layer }) => layer.chainId);
      assert.deepEqual(owned, [...CHAIN].sort());
      await store.releaseRWLayer("work");
      await store.catalog.delete("more");
      assert.deepEqual(store.contents().layers.filter(({ root }) => root === undefined), []);
    }
    assertUntouched();
  });
});

/** Two images that share their base, and a container; gives the container's id. */
async function fillDockerRoot(scratch: string, root: string): Promise<string> {
  const images = dockerFiles([
    [["stack:1"], { layers: TARS.map((tar) => ({ tar })) }],
    [["beside:1"], { layers: [{ tar: TARS[0]! }, { tar: BESIDE }] }],
  ]);
  writeFileSync(`${scratch}/images.tar`, archiveOf(images));
  await using dockerd = await Dockerd.start(`${scratch}/dockerd`, root);
  dockerd.docker("load", "-i", `${scratch}/images.tar`);
  const container = dockerd.docker("create", "stack:1", "true");
  writeFileSync(`${scratch}/note`, "a note\n");
  dockerd.docker("cp", `${scratch}/note`, `${container}:/note`);
  return container;
}

function chainsOf(tars: readonly Uint8Array[]): [ChainId, ChainId, ChainId] {
  const [base, middle, top] = tars.map((tar) => parseDiffId(digestOf(tar)));
  const [first, second] = [chainOn(undefined, base!), chainOn(chainOn(undefined, base!), middle!)];
  return [first, second, chainOn(second, top!)];
}

function openOn(root: string, further: string): Promise<LayerStore> {
  return LayerStore.open({ root, runRoot: `${root}-run`, durability: "none", pace: "full", readOnlyRoots: [further] });
}
