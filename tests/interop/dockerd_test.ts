// SPDX-License-Identifier: Apache-2.0
/**
 * dockerd as judge: it works on what Strata wrote, Strata works on what it wrote, and while it runs Strata only reads.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { hasCode, ImageStore, LayerStore } from "../../mod.ts";
import { DigestWriter } from "../../src/core/digest.ts";
import { ROOT } from "../../src/core/layer_path.ts";
import { openForRead } from "../../src/host/files.ts";
import { readChunks } from "../../src/host/read_chunks.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { changedPaths, changeListing } from "../support/change_listing.ts";
import { Dockerd } from "../support/dockerd.ts";
import { Registry } from "../support/registry.ts";
import { needsRealImage } from "../support/interop.ts";
import { runCli } from "../support/run_cli.ts";
import { streamOf } from "../support/scratch_store.ts";

const needs = needsRealImage("dockerd", "docker", "docker-registry", "skopeo");
const archive = `${process.env["STRATA_REAL_IMAGE"] ?? ""}/image.docker.tar`;
const layout = `${process.env["STRATA_REAL_IMAGE"] ?? ""}/image.oci`;
/** Memory, where there is a file system in it: the test writes gigabytes. */
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const NAME = "top:1";
const COMMITTED = "edited:1";

describe("dockerd", needs, () => {
  let scratch = "";
  /** A root that dockerd filled, and that nobody holds any more. */
  let theirs: DockerRoot;
  /** A root that Strata filled. */
  let ours = "";

  before(async () => {
    scratch = mkdtempSync(`${SCRATCH_PARENT}/strata-dockerd-`);
    theirs = await makeDockerRoot(`${scratch}/theirs`);
    ours = `${scratch}/ours`;
    await using store = await openStore(ours);
    await new ImageStore(store).load({ kind: "path", path: archive });
  });
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  it("writes the same records of the same image", () => {
    const chains = readdirSync(layersDir(theirs.loaded)).sort();
    assert.ok(chains.length > 1);
    assert.deepEqual(readdirSync(layersDir(`${ours}/image/overlay2`)).sort(), chains);
    for (const chain of chains) {
      const [own, other] = [`${ours}/image/overlay2`, theirs.loaded].map((home) => `${layersDir(home)}/${chain}`);
      assert.deepEqual(recordAt(own!), recordAt(other!), chain);
    }
    for (const name of ["imagedb/content/sha256", "repositories.json"]) {
      assert.deepEqual(contentsOf(`${ours}/image/overlay2/${name}`), contentsOf(`${theirs.loaded}/${name}`), name);
    }
  });

  it("leaves a root on which the library works as it lies", async () => {
    await using store = await openStore(theirs.root);
    const { images, findings } = new ImageStore(store).list();
    assert.deepEqual(findings, []);
    assert.deepEqual(images.flatMap(({ names }) => names).sort(), [COMMITTED, NAME]);
    const { layers, broken } = store.layers();
    assert.deepEqual(broken, []);
    assert.equal(layers.size, 4);
    assert.deepEqual([...store.rwLayers().mounts.keys()].map(String), [theirs.container]);
    const edited = images.find(({ names }) => names.includes(COMMITTED))?.chainId;
    assert.ok(edited);
    for (const [chainId, { diffId }] of layers) {
      assert.deepEqual(await store.verify(chainId), { chainId, state: "ok" });
      assert.equal(await digestOfStream(store.export(chainId)), diffId);
      assert.equal(theirs.saved.get(diffId), "saved", `${diffId} in the archive of "docker save"`);
      assert.equal(store.inspect(chainId).kind, "layer");
    }
    const path = await store.mount(edited);
    try {
      assertEdited(path);
    } finally {
      await store.unmount(path);
    }
    assert.deepEqual(await changesOf(store, theirs.container), theirs.changes);
    assert.deepEqual(await changesOf(store, edited), theirs.changes);
  });

  it("leaves a root on which the commands work as it lies", async () => {
    const strata = strataOn(theirs.root);
    const { images } = JSON.parse(await strata("images", "--json"));
    const chain: string = images.find(({ names }: { names: string[] }) => names.includes(COMMITTED)).chainId;
    assert.match(await strata("layers", "--tree"), new RegExp(chain.slice("sha256:".length, "sha256:".length + 12)));
    assert.equal(JSON.parse(await strata("inspect", "--json", chain))[0].chainId, chain);
    assert.equal((await strata("verify")).split("\n").filter((line) => line.startsWith("ok ")).length, 4);
    await strata("export", chain, "-o", `${scratch}/exported.tar`);
    assert.equal(
      digestOfFile(`${scratch}/exported.tar`),
      JSON.parse(await strata("inspect", "--json", chain))[0].diffId,
    );
    const path = await strata("mount", chain);
    assertEdited(path);
    await strata("unmount", path);
  });

  it("works on a root that Strata filled, and what it removes is gone", async () => {
    const { named, diffIds } = await nameBase(ours);
    {
      await using dockerd = await Dockerd.start(`${scratch}/judge`, ours);
      assert.match(dockerd.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}"), /^top:1$/m);
      const rootFs = JSON.parse(dockerd.docker("image", "inspect", "--format", "{{json .RootFS}}", NAME));
      assert.deepEqual(rootFs.Layers, diffIds);
      assert.deepEqual(
        [...savedLayers(dockerd, { name: NAME, dir: `${scratch}/saved-ours` }).keys()].sort(),
        [
          ...diffIds,
        ].sort(),
      );
      const container = dockerd.docker("create", NAME, "true");
      writeFileSync(`${scratch}/note`, "a note\n");
      dockerd.docker("cp", `${scratch}/note`, `${container}:/etc/note`);
      assert.equal(dockerd.docker("diff", container), "C /etc\nA /etc/note");
      dockerd.docker("commit", container, COMMITTED);
      dockerd.docker("rm", container);
      dockerd.docker("rmi", NAME, COMMITTED);
    }
    await using store = await openStore(ours);
    assert.deepEqual(new ImageStore(store).list(), { images: [], findings: [] });
    assert.equal(store.layers().layers.size, 0);
    assert.deepEqual(readdirSync(layersDir(`${ours}/image/overlay2`)), [], "our own files went with the layers");
    assert.deepEqual(readdirSync(`${ours}/overlay2`), ["l"]);
    assert.deepEqual(store.catalog.list().records.map(({ names }) => names), [[named]]);
  });

  it("does not download layers that Strata loaded", async () => {
    const root = `${scratch}/pulled`;
    {
      await using store = await openStore(root);
      const images = new ImageStore(store);
      const [loaded] = await images.load({ kind: "path", path: layout });
      assert.ok(loaded?.chainId);
      // Of an image that is here nothing is looked at; the layers alone must do.
      await store.catalog.add(loaded.chainId);
      await images.remove(loaded.imageId);
    }
    await using registry = await Registry.start(`${scratch}/registry`);
    const name = `${registry.address}/top:1`;
    run(scratch, "skopeo", "copy", "-q", "--dest-tls-verify=false", `oci:${layout}:1`, `docker://${name}`);
    await using dockerd = await Dockerd.start(`${scratch}/puller`, root);
    const said = dockerd.docker("pull", name);
    assert.equal(said.match(/: Already exists$/gm)?.length, 3, said);
    assert.doesNotMatch(said, /Pull complete/);
  });

  it("keeps Strata from writing to its root while it runs, and not from reading", async () => {
    await using early = await openStore(theirs.root);
    await using dockerd = await Dockerd.start(`${scratch}/holder`, theirs.root);
    const listed = changeListing(theirs.root);
    await assertReads(theirs);
    await assertWritesRefused(theirs, dockerd.pid);
    await assert.rejects(early.register(streamOf(layerTar([file("new", "")]))), isLocked);
    assert.deepEqual(changedPaths(listed, changeListing(theirs.root)), []);
  });
});

interface DockerRoot {
  readonly root: string;
  /** A copy of its records as they were before the container was made. */
  readonly loaded: string;
  readonly container: string;
  /** What the container changed, as `docker diff` shows it. */
  readonly changes: readonly string[];
  /** DiffIDs of all layers that `docker save` gave. */
  readonly saved: ReadonlyMap<string, "saved">;
}

/** The real image, and an image that was made of it by edits of each kind. */
async function makeDockerRoot(path: string): Promise<DockerRoot> {
  const root = `${path}/root`;
  await using dockerd = await Dockerd.start(`${path}/dockerd`, root);
  dockerd.docker("load", "-i", archive);
  cpSync(`${root}/image/overlay2`, `${path}/loaded`, { recursive: true });
  const container = dockerd.docker("create", NAME, "true");
  writeFileSync(`${path}/note`, "a note\n");
  dockerd.docker("cp", `${path}/note`, `${container}:/etc/note`);
  editWritable(root, container);
  const changes = dockerd.docker("diff", container).split("\n").sort();
  dockerd.docker("commit", container, COMMITTED);
  const saved = savedLayers(dockerd, { name: COMMITTED, dir: `${path}/saved` });
  return { root, loaded: `${path}/loaded`, container, changes, saved };
}

/** What a container would do, if one could run here: it deletes, and makes a directory anew. */
function editWritable(root: string, container: string): void {
  const home = `${root}/overlay2`;
  const id = readFileSync(`${root}/image/overlay2/layerdb/mounts/${container}/mount-id`, "utf8");
  const lowers = readFileSync(`${home}/${id}/lower`, "utf8");
  const target = `${home}/${id}/merged`;
  mkdirSync(target, { recursive: true });
  const options = `lowerdir=${lowers},upperdir=${id}/diff,workdir=${id}/work,index=off,redirect_dir=off`;
  run(home, "mount", "-t", "overlay", "overlay", "-o", options, target);
  try {
    rmSync(`${target}/etc/hostname`, { force: true });
    rmSync(`${target}/etc/passwd`);
    rmSync(`${target}/etc/apt`, { recursive: true });
    mkdirSync(`${target}/etc/apt`);
    writeFileSync(`${target}/etc/apt/only`, "this one\n");
    rmSync(`${target}/usr/share/doc`, { recursive: true });
  } finally {
    run(home, "umount", target);
  }
}

function assertEdited(tree: string): void {
  assert.equal(readFileSync(`${tree}/etc/note`, "utf8"), "a note\n");
  assert.deepEqual(readdirSync(`${tree}/etc/apt`), ["only"]);
  for (const gone of ["etc/passwd", "usr/share/doc"]) assert.equal(existsSync(`${tree}/${gone}`), false, gone);
  assert.ok(existsSync(`${tree}/etc/group`));
}

/** The layers in the archive that `docker save` makes, by the digests of their bytes. */
function savedLayers(
  dockerd: Dockerd,
  { name, dir }: { readonly name: string; readonly dir: string },
): Map<string, "saved"> {
  mkdirSync(dir, { recursive: true });
  dockerd.docker("save", "-o", `${dir}/image.tar`, name);
  run(dir, "tar", "-xf", "image.tar");
  const [{ Layers: layers }] = JSON.parse(readFileSync(`${dir}/manifest.json`, "utf8"));
  const saved = layers.map((layer: string) => [digestOfFile(`${dir}/${layer}`), "saved"] as const);
  rmSync(dir, { recursive: true });
  return new Map(saved);
}

/** A catalog record for a layer of its own kind of user, and the DiffIDs of the image. */
async function nameBase(root: string): Promise<{ named: string; diffIds: string[] }> {
  await using store = await openStore(root);
  const [image] = new ImageStore(store).list().images;
  assert.ok(image?.chainId);
  const diffIds: string[] = [];
  for (let next: string | undefined = image.chainId; next !== undefined;) {
    const target = store.resolve(next);
    assert.ok(target.kind === "layer");
    diffIds.unshift(target.record.diffId);
    next = target.record.parent;
  }
  await store.catalog.add(image.chainId, { names: ["ours"] });
  return { named: "ours", diffIds };
}

async function assertReads({ root, container, changes }: DockerRoot): Promise<void> {
  await using store = await openStore(root);
  const { layers } = store.layers();
  assert.equal(layers.size, 4);
  assert.equal(new ImageStore(store).list().images.length, 2);
  assert.equal(store.info().counts.layers, 4);
  assert.deepEqual(store.mounts(), []);
  assert.deepEqual(store.catalog.list().records, []);
  assert.deepEqual(await changesOf(store, container), changes);
  const smallest = [...layers.values()].sort((a, b) => a.sizeBytes - b.sizeBytes)[0]!;
  const layer = store.get(smallest.chainId);
  assert.equal((await store.verify(layer.chainId)).state, "ok");
  assert.equal(await digestOfStream(store.export(layer.chainId)), layer.diffId);
  assert.deepEqual(await store.release(layer), []);
  await digestOfStream(store.diff(container));
  const strata = strataOn(root);
  for (const args of [["layers", "--tree"], ["images"], ["info"], ["mounts"], ["inspect", container]]) {
    await strata(...args);
  }
}

async function assertWritesRefused({ root, container }: DockerRoot, pid: number): Promise<void> {
  await using store = await openStore(root);
  const images = new ImageStore(store);
  const [chainId] = [...store.layers().layers.keys()];
  assert.ok(chainId);
  const tar = () => streamOf(layerTar([dir("new"), file("new/file", "")]));
  const writes: Readonly<Record<string, () => Promise<unknown>>> = {
    register: () => store.register(tar(), { parent: chainId }),
    createRWLayer: () => store.createRWLayer("new", { parent: chainId }),
    releaseRWLayer: () => store.releaseRWLayer(container),
    applyDiff: () => store.applyDiff(container, tar()),
    commit: () => store.commit(container),
    mount: () => store.mount(chainId),
    unmount: () => store.unmount(chainId),
    "catalog.add": () => store.catalog.add(chainId, { names: ["new"] }),
    "images.load": () => images.load({ kind: "path", path: archive }),
    "images.tag": () => images.tag(NAME, "new:1"),
    "images.remove": () => images.remove(NAME),
  };
  for (const [what, write] of Object.entries(writes)) {
    await assert.rejects(write(), (error) => isLocked(error) && String(error).includes(`dockerd (pid ${pid})`), what);
  }
  const { code, stderr } = await runCli(["load", archive], { env: environmentOf(root) });
  assert.equal(code, 4);
  assert.match(stderr, /Cannot write to the store at ".*": a running dockerd \(pid \d+\) holds it; stop it first/);
}

function isLocked(error: unknown): boolean {
  return hasCode(error, "LOCKED");
}

/** A layer's record as Docker reads it: what names its directory is random, and how it is compressed is free. */
function recordAt(path: string): Readonly<Record<string, string>> {
  const names = readdirSync(path).filter((name) => !["cache-id", "strata.json", "tar-split.json.gz"].includes(name));
  const lines = gunzipSync(readFileSync(`${path}/tar-split.json.gz`)).toString();
  // The tar-split of this Docker ends with a segment of no bytes, which later ones leave out.
  const tarSplit = lines.replace(/\{"type":2,"payload":"","position":[0-9]+\}\n$/, "");
  return { ...Object.fromEntries(names.map((name) => [name, readFileSync(`${path}/${name}`, "utf8")])), tarSplit };
}

function contentsOf(path: string): Readonly<Record<string, string>> {
  const names = lstatSync(path).isDirectory() ? readdirSync(path).map((name) => `/${name}`) : [""];
  return Object.fromEntries(names.map((name) => [name, readFileSync(path + name, "utf8")]));
}

function layersDir(imageHome: string): string {
  return `${imageHome}/layerdb/sha256`;
}

function openStore(root: string): Promise<LayerStore> {
  return LayerStore.open({ root, runRoot: `${root}-run`, durability: "none", pace: "full" });
}

function environmentOf(root: string): Readonly<Record<string, string>> {
  return { STRATA_ROOT: root, STRATA_RUN_ROOT: `${root}-run` };
}

/** The commands on a root; those that fail throw. */
function strataOn(root: string): (...args: string[]) => Promise<string> {
  return async (...args) => {
    const { code, stdout, stderr } = await runCli(args, { env: environmentOf(root) });
    assert.equal(code, 0, `strata ${args.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  };
}

/** Changes in the form of `docker diff`, which leaves the root directory out. */
async function changesOf(store: LayerStore, ref: string): Promise<string[]> {
  const letters = { add: "A", modify: "C", delete: "D" } as const;
  const changed = (await store.changes(ref)).filter(({ path }) => path !== ROOT);
  return changed.map(({ kind, path }) => `${letters[kind]} /${path}`).sort();
}

async function digestOfStream(stream: ReadableStream<Uint8Array>): Promise<string> {
  const digest = new DigestWriter();
  for await (const chunk of stream) digest.update(chunk);
  return digest.finish();
}

function digestOfFile(path: string): string {
  const digest = new DigestWriter();
  for (const chunk of readChunks(openForRead(path))) digest.update(chunk);
  return digest.finish();
}

function run(cwd: string, program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${error ?? stderr}`);
}
