// SPDX-License-Identifier: Apache-2.0
/**
 * A real image of three layers, with deletions, an opaque directory, hard links and attributes: loaded from every format
 * on every driver, it is the tree that `umoci unpack` makes and podman mounts, and every layer comes back byte for byte.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { digestHex, digestOf, DigestWriter } from "../../src/core/digest.ts";
import { loadImage } from "../../src/image/load.ts";
import { LayerStore } from "../../src/store/layer_store.ts";
import { needsRealImage } from "../support/interop.ts";
import { differencesOf, listTree, type TreeDifference, type TreeListing } from "../support/tree_listing.ts";

const needs = needsRealImage("umoci", "skopeo", "podman");
const image = process.env["STRATA_REAL_IMAGE"] ?? "";
/** Memory, where there is a file system in it: the test writes gigabytes. */
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

describe("a real image", needs, () => {
  let scratch = "";
  let references: Readonly<Record<string, TreeListing>> = {};

  before(() => {
    scratch = mkdtempSync(`${SCRATCH_PARENT}/strata-real-`);
    references = { umoci: umociTree(`${scratch}/umoci`), podman: podmanTree(`${scratch}/podman`) };
  });
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  for (const driver of ["overlay2", "vfs"]) {
    for (const format of ["image.docker.tar", "image.oci", "image.oci.tar"]) {
      it(`from ${format} is on ${driver} what other programs make of it`, async () => {
        const root = `${scratch}/${driver}-${format}`;
        await using store = await LayerStore.open({
          root,
          runRoot: `${root}-run`,
          driver,
          durability: "none",
          pace: "full",
        });
        const source = { kind: "path", path: `${image}/${format}` } as const;
        const [loaded] = await loadImage(LayerStore.contextOf(store), source);
        assert.ok(loaded?.chainId);
        assert.deepEqual(loaded.layers.map(({ diffId }) => String(diffId)), configDiffIds());
        for (const { chainId, diffId } of loaded.layers) {
          assert.equal(await digestOfStream(store.export(chainId)), diffId);
        }
        const path = await store.mount(loaded.chainId);
        try {
          const ours = listTree(path);
          for (const [program, theirs] of Object.entries(references)) {
            const differences = differencesOf(ours, theirs);
            assert.deepEqual(
              differences.filter((difference) => !isKnown(program, difference)),
              [],
              `from ${program}'s`,
            );
          }
        } finally {
          await store.unmount(path);
        }
        rmSync(root, { recursive: true });
      });
    }
  }
});

/**
 * No layer of the image describes the root directory. containers/storage then gives it mode 0555 and the time of
 * unpacking; umoci as we 0755 and time 0. All else must be equal.
 */
function isKnown(program: string, { path, attribute }: TreeDifference): boolean {
  return program === "podman" && path === "/" && (attribute === "mode" || attribute === "mtime");
}

/** The config as the layout has it, read without any of our code that is under test. */
function configDiffIds(): string[] {
  const blob = (digest: string) => {
    const bytes = readFileSync(`${image}/image.oci/blobs/sha256/${digest.replace("sha256:", "")}`);
    assert.equal(digestOf(bytes), digest);
    return JSON.parse(bytes.toString());
  };
  const index = JSON.parse(readFileSync(`${image}/image.oci/index.json`, "utf8"));
  return blob(blob(index.manifests[0].digest).config.digest).rootfs.diff_ids;
}

function umociTree(bundle: string): TreeListing {
  run("umoci", "unpack", "--image", `${image}/image.oci:1`, bundle);
  const listing = listTree(`${bundle}/rootfs`);
  rmSync(bundle, { recursive: true });
  return listing;
}

function podmanTree(dir: string): TreeListing {
  const [root, runRoot, name] = [
    `${dir}/root`,
    `${dir}/run`,
    `localhost/real-${digestHex(digestOf(dir)).slice(0, 8)}:1`,
  ];
  const podman = (...args: string[]) => {
    return run("podman", "--root", root, "--runroot", runRoot, "--storage-driver", "overlay", ...args);
  };
  run("skopeo", "copy", "-q", `oci:${image}/image.oci:1`, `containers-storage:[overlay@${root}+${runRoot}]${name}`);
  const path = podman("image", "mount", name).trim();
  try {
    return listTree(path);
  } finally {
    podman("image", "unmount", name);
    // containers/storage mounts its own directory onto itself, and leaves it so.
    spawnSync("umount", [`${root}/overlay`]);
    rmSync(dir, { recursive: true });
  }
}

async function digestOfStream(stream: ReadableStream<Uint8Array>): Promise<string> {
  const digest = new DigestWriter();
  for await (const chunk of stream) digest.update(chunk);
  return digest.finish();
}

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${error ?? stderr}`);
  return stdout;
}
