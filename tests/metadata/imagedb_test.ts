// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createChainId } from "../../src/core/chain_id.ts";
import { type DiffId, digestHex, digestOf } from "../../src/core/digest.ts";
import { JSON_BYTES_MAX } from "../../src/core/limits.ts";
import type { ImageId } from "../../src/metadata/image_config.ts";
import { parseImageName } from "../../src/metadata/image_name.ts";
import { ImageDb } from "../../src/metadata/imagedb.ts";
import type { StoreLayout } from "../../src/metadata/layout.ts";
import { withWriteLock, type WriteLock } from "../../src/metadata/write_lock.ts";
import { diffIdOf, refusal, scratchStore } from "./store_dir.ts";

const CREATED = "2024-05-06T07:08:09.123456789Z";

function configBytes(diffIds: readonly DiffId[] | null, more: object = {}): Uint8Array {
  const config = {
    os: "linux",
    architecture: "amd64",
    created: CREATED,
    rootfs: { type: "layers", diff_ids: diffIds },
  };
  return new TextEncoder().encode(JSON.stringify({ ...config, ...more }));
}

const BYTES = configBytes([diffIdOf("a"), diffIdOf("b")], { author: "somebody" });
const OTHER = configBytes([diffIdOf("a")]);

/** A store with two images, and its lock held. */
async function withImages(
  act: (store: { db: ImageDb; lock: WriteLock; layout: StoreLayout; image: ImageId; other: ImageId }) => void,
): Promise<void> {
  using store = scratchStore();
  const { layout } = store;
  const db = new ImageDb(layout);
  await withWriteLock(layout, {}, (lock) => {
    const image = db.put(lock, BYTES);
    act({ db, lock, layout, image, other: db.put(lock, OTHER) });
  });
}

describe("ImageDb", () => {
  it("keeps a config under its digest, as Docker does", () =>
    withImages(({ db, layout, image }) => {
      assert.equal(image, digestOf(BYTES));
      const path = `${layout.root}/image/overlay2/imagedb/content/sha256/${digestHex(image)}`;
      assert.deepEqual(new Uint8Array(readFileSync(path)), BYTES);
      assert.equal(statSync(path).mode & 0o7777, 0o600);
      const record = db.get(image);
      assert.equal(record.config.created, CREATED);
      assert.equal(record.config["author"], "somebody");
      assert.equal(record.chainId, createChainId([diffIdOf("a"), diffIdOf("b")]));
      assert.deepEqual(record.bytes, BYTES);
    }));

  it("lists images, and tells which stacks they keep alive", () =>
    withImages(({ db, lock, image, other }) => {
      const empty = db.put(lock, configBytes(null));
      const { images, findings } = db.list();
      assert.deepEqual(images.map(({ imageId }) => imageId), [image, other, empty].sort());
      assert.deepEqual(findings, []);
      assert.deepEqual(new Map(db.roots().map(({ imageId, chainId }) => [imageId, chainId])).size, 2);
      assert.equal(db.get(empty).chainId, undefined);
    }));

  for (
    const [what, content] of Object.entries({
      "another content": "{}",
      "no content": "",
      "more than a document": " ".repeat(JSON_BYTES_MAX + 1),
    })
  ) {
    it(`tells of a config with ${what}, and of the others all the same`, () =>
      withImages(({ db, lock, layout, image, other }) => {
        writeFileSync(layout.imageConfigPath(image), content);
        assert.throws(() => db.get(image), refusal("CORRUPT", digestHex(image), "load or pull"));
        const { images, findings } = db.list();
        assert.deepEqual(images.map(({ imageId }) => imageId), [other]);
        assert.deepEqual(findings.map(({ kind, severity, subject }) => [kind, severity, subject]), [
          ["image", "broken", image],
        ]);
        assert.deepEqual(db.roots().map(({ imageId }) => imageId), [other]);
        assert.equal(db.put(lock, BYTES), image);
        assert.deepEqual(db.get(image).bytes, BYTES);
      }));
  }

  it("calls files with other names strays", () =>
    withImages(({ db, layout }) => {
      writeFileSync(`${layout.imageContentDir}/README`, "");
      writeFileSync(`${layout.imageContentDir}/.tmp-1`, "");
      assert.deepEqual(db.list().findings.map(({ severity, subject }) => [severity, subject]), [["stray", "README"]]);
    }));

  for (
    const [what, bytes] of Object.entries({
      "is not JSON": new TextEncoder().encode("{"),
      "begins with a byte order mark": new Uint8Array([0xef, 0xbb, 0xbf, ...BYTES]),
      "is not UTF-8": new Uint8Array([...BYTES.slice(0, -2), 0x22, 0xff, 0x22]),
      "has no rootfs": new TextEncoder().encode(`{"os":"linux"}`),
      "has a rootfs of another kind": configBytes([], { rootfs: { type: "layers+base" } }),
      "has an upper-case DiffID": configBytes([diffIdOf("a").toUpperCase() as DiffId]),
      "has a DiffID that is a path": configBytes(["sha256:../../etc" as DiffId]),
      "nests deeply": new TextEncoder().encode("[".repeat(100_000)),
    })
  ) {
    it(`refuses a config that ${what}`, async () => {
      using store = scratchStore();
      await withWriteLock(store.layout, {}, (lock) => {
        assert.throws(() => new ImageDb(store.layout).put(lock, bytes), refusal("INVALID_ARCHIVE", "config"));
      });
    });
  }

  it("removes an image with its names and Docker's notes on it", () =>
    withImages(({ db, lock, layout, image, other }) => {
      mkdirSync(layout.imageMetadataDir(image), { recursive: true });
      writeFileSync(`${layout.imageMetadataDir(image)}/lastUpdated`, CREATED);
      db.tag(lock, parseImageName("top:1"), image);
      db.tag(lock, parseImageName("other"), other);
      db.remove(lock, image);
      assert.equal(db.has(image), false);
      assert.throws(() => statSync(layout.imageMetadataDir(image)), /ENOENT/);
      assert.deepEqual(db.namesOf(image), []);
      assert.deepEqual(db.namesOf(other), ["other:latest"]);
      assert.throws(() => db.remove(lock, image), refusal("NOT_FOUND"));
    }));

  it("finds an image by id, prefix and name, names first", () =>
    withImages(({ db, lock, image, other }) => {
      const prefix = digestHex(image).slice(0, 12);
      for (const ref of [image, digestHex(image), prefix, `sha256:${prefix}`]) assert.equal(db.resolve(ref), image);
      db.tag(lock, parseImageName(prefix), other);
      assert.equal(db.resolve(prefix), other);
      assert.equal(db.resolve(`docker.io/library/${prefix}:latest`), other);
      for (const ref of ["nothing", "", "sha256:", "0".repeat(64), "Not A Name"]) {
        assert.throws(() => db.resolve(ref), refusal("NOT_FOUND"));
      }
    }));

  it("does not guess between images whose ids begin alike", async () => {
    using store = scratchStore();
    const db = new ImageDb(store.layout, { durability: "none" });
    await withWriteLock(store.layout, {}, (lock) => {
      for (let i = 0; i < 17; i++) db.put(lock, configBytes([], { author: String(i) }));
    });
    const firstDigits = db.list().images.map(({ imageId }) => digestHex(imageId)[0]!);
    const shared = firstDigits.find((digit, i) => firstDigits.indexOf(digit) !== i)!;
    assert.throws(() => db.resolve(shared), refusal("AMBIGUOUS", "give more"));
  });
});

describe("names of images", () => {
  it("are kept in Docker's file, to the byte", () =>
    withImages(({ db, lock, layout, image, other }) => {
      assert.equal(db.tag(lock, parseImageName("z"), other), undefined);
      db.tag(lock, parseImageName("top:2"), image);
      db.tag(lock, parseImageName("docker.io/library/top:1"), image);
      const text = readFileSync(`${layout.root}/image/overlay2/repositories.json`, "utf8");
      const repositories = { top: { "top:1": image, "top:2": image }, z: { "z:latest": other } };
      assert.equal(text, JSON.stringify({ Repositories: repositories }));
      assert.equal(statSync(layout.repositoriesPath).mode & 0o7777, 0o600);
      assert.deepEqual(db.namesOf(image), ["top:1", "top:2"]);
    }));

  it("move from one image to another", () =>
    withImages(({ db, lock, image, other }) => {
      db.tag(lock, parseImageName("top"), image);
      assert.equal(db.tag(lock, parseImageName("top"), other), image);
      assert.deepEqual([db.namesOf(image), db.namesOf(other)], [[], ["top:latest"]]);
    }));

  it("go one by one, and the repository with the last", () =>
    withImages(({ db, lock, layout, image }) => {
      db.tag(lock, parseImageName("top:1"), image);
      db.tag(lock, parseImageName("top:2"), image);
      assert.equal(db.untag(lock, parseImageName("top:1")), image);
      assert.deepEqual(db.namesOf(image), ["top:2"]);
      db.untag(lock, parseImageName("top:2"));
      assert.equal(readFileSync(layout.repositoriesPath, "utf8"), `{"Repositories":{}}`);
      assert.throws(() => db.untag(lock, parseImageName("top:2")), refusal("NOT_FOUND", "top:2"));
    }));

  it("may be words that every object knows", () =>
    withImages(({ db, lock, image }) => {
      assert.throws(() => db.resolve("constructor"), refusal("NOT_FOUND"));
      for (const name of ["constructor", "tostring", "valueof/constructor"]) {
        db.tag(lock, parseImageName(name), image);
        assert.equal(db.resolve(name), image);
      }
      assert.equal(db.namesOf(image).length, 3);
    }));

  it("leave what they do not understand in the file", () =>
    withImages(({ db, lock, layout, image, other }) => {
      const digest = digestOf("manifest");
      const strange = { "top@x": 7, [`top@${digest}`]: other, "top:0": "not a digest" };
      writeFileSync(layout.repositoriesPath, JSON.stringify({ Version: 2, Repositories: { top: strange, odd: [1] } }));
      assert.equal(db.resolve(`top@${digest}`), other);
      assert.throws(() => db.resolve("top:0"), refusal("NOT_FOUND"));
      db.tag(lock, parseImageName("top:1"), image);
      db.untag(lock, parseImageName("top:1"));
      const kept = JSON.parse(readFileSync(layout.repositoriesPath, "utf8"));
      assert.deepEqual(kept, { Version: 2, Repositories: { top: strange, odd: [1] } });
    }));

  it("that cannot be read hide no image", () =>
    withImages(({ db, lock, layout, image }) => {
      writeFileSync(layout.repositoriesPath, "[]");
      for (const act of [() => db.resolve("top"), () => db.tag(lock, parseImageName("top"), image)]) {
        assert.throws(act, refusal("CORRUPT", "repositories.json", "remove it"));
      }
      assert.equal(db.list().images.length, 2);
      rmSync(layout.repositoriesPath);
      db.tag(lock, parseImageName("top"), image);
    }));

  it("are given to images only that are here", () =>
    withImages(({ db, lock, image }) => {
      db.remove(lock, image);
      assert.throws(() => db.tag(lock, parseImageName("top"), image), refusal("NOT_FOUND"));
    }));
});
