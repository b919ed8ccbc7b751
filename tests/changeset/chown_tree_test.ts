// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, linkSync, lutimesSync, mkdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { type ChownRequest, chownTreeByMaps } from "../../src/changeset/chown_tree.ts";
import { hasCode } from "../../src/core/errors.ts";
import { IDENTITY, type IdMappings, parseIdMap } from "../../src/core/id_map.ts";
import { type LayerPath, ROOT } from "../../src/core/layer_path.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, atBytes, bytes, IS_ROOT, scratch } from "../host/scratch.ts";

const skip = IS_ROOT ? false : "only root may give files away";
const overlaySkip = await probeOverlay(tmpdir()) ?? false;

const FIRST = mappings("0:1000:65536");
const SECOND = mappings("0:300000:65536");
/** `cap_net_raw=ep`, version 2. */
const CAPABILITY = Uint8Array.from([1, 0, 0, 2, 0, 0x20, ...new Array(14).fill(0)]);

function mappings(text: string): IdMappings {
  return { uids: parseIdMap(text), gids: parseIdMap(text) };
}

function chown(path: string, request: ChownRequest) {
  using tree = RootedDir.open(path);
  return chownTreeByMaps(tree, request);
}

function ownerOf(path: string, name: LayerPath): string {
  using tree = RootedDir.open(path);
  const stat = tree.stat(name);
  return `${stat?.uid}:${stat?.gid}`;
}

function setOwner(path: string, name: LayerPath, id: number): void {
  using tree = RootedDir.open(path);
  tree.setOwner(name, id, id);
}

describe("chownTreeByMaps", { skip }, () => {
  it("maps the root directory, every type of object, and names of one character", () => {
    using dir = scratch();
    using tree = RootedDir.open(dir.path);
    for (const name of ["a", "b", "c"]) tree.create(at(name), 0o644).close();
    tree.mkdir(at("d"), 0o755);
    tree.create(at("d/e"), 0o644).close();
    tree.symlink(at("s"), bytes("nowhere"));
    tree.mknod(at("p"), { type: "fifo", mode: 0o600 });
    tree.mknod(at("n"), { type: "char", mode: 0o600, major: 1, minor: 3 });
    const { changed } = chownTreeByMaps(tree, { from: IDENTITY, to: FIRST });
    assert.equal(changed, 9);
    for (const name of ["", "a", "b", "c", "d", "d/e", "s", "p", "n"]) {
      assert.equal(ownerOf(dir.path, name === "" ? ROOT : at(name)), "1000:1000", name);
    }
  });

  it("maps an owner that equals the host id of the container's root like any other", () => {
    using dir = scratch();
    writeFileSync(`${dir.path}/f`, "");
    setOwner(dir.path, at("f"), 1000);
    chown(dir.path, { from: IDENTITY, to: FIRST });
    assert.equal(ownerOf(dir.path, at("f")), "2000:2000");
    chown(dir.path, { from: FIRST, to: SECOND });
    assert.equal(ownerOf(dir.path, at("f")), "301000:301000");
    chown(dir.path, { from: SECOND, to: IDENTITY });
    assert.equal(ownerOf(dir.path, at("f")), "1000:1000");
    assert.equal(ownerOf(dir.path, ROOT), "0:0");
  });

  it("links names again before it changes their object, and sets times, below a program's mount", () => {
    using dir = scratch();
    for (const name of ["d", "e"]) mkdirSync(`${dir.path}/${name}`);
    writeFileSync(`${dir.path}/d/a`, "1");
    chmodSync(`${dir.path}/d/a`, 0o4755);
    for (const name of ["d/b", "e/c"]) linkSync(`${dir.path}/d/a`, `${dir.path}/${name}`);
    symlinkSync("d", `${dir.path}/l`);
    lutimesSync(`${dir.path}/l`, 1, 1);
    for (const name of ["d", "e", "."]) utimesSync(`${dir.path}/${name}`, 1, 1);
    const report = chown(dir.path, { from: IDENTITY, to: FIRST, servedBy: "program" });
    assert.deepEqual(report, { changed: 5, relinked: 2 });
    const links = ["d/a", "d/b", "e/c"].map((name) => statSync(`${dir.path}/${name}`));
    assert.deepEqual(
      links.map(({ ino, uid, mode }) => [ino, uid, mode & 0o7777]),
      links.map(() => [links[0]?.ino, 1000, 0o4755]),
    );
    using tree = RootedDir.open(dir.path);
    for (const name of ["d", "e", "l"]) assert.equal(tree.stat(at(name))?.mtime.sec, 1, name);
    assert.equal(tree.stat(ROOT)?.mtime.sec, 1);
  });

  it("tells when all is known, and nothing is changed", () => {
    using dir = scratch();
    writeFileSync(`${dir.path}/f`, "");
    const seen: string[] = [];
    const whenChecked = () => seen.push(ownerOf(dir.path, ROOT), ownerOf(dir.path, at("f")));
    chown(dir.path, { from: IDENTITY, to: FIRST, whenChecked });
    assert.deepEqual(seen, ["0:0", "0:0"]);
    setOwner(dir.path, at("f"), 70_000);
    assert.throws(
      () => chown(dir.path, { from: FIRST, to: SECOND, whenChecked }),
      (e) => hasCode(e, "INVALID_ARGUMENT"),
    );
    assert.equal(seen.length, 2);
  });

  it("reaches names that are not UTF-8", () => {
    using dir = scratch();
    using tree = RootedDir.open(dir.path);
    const name = atBytes(0xff, 0x2d, 0x80);
    tree.mkdir(name, 0o755);
    chownTreeByMaps(tree, { from: IDENTITY, to: FIRST });
    assert.equal(ownerOf(dir.path, name), "1000:1000");
  });

  it("keeps setuid, setgid, capabilities, and hard links, each file mapped once", () => {
    using dir = scratch();
    using tree = RootedDir.open(dir.path);
    tree.create(at("first"), 0o6755).close();
    tree.setXattr(at("first"), bytes("security.capability"), CAPABILITY);
    tree.setXattr(at("first"), bytes("user.note"), CAPABILITY);
    tree.link(at("first"), at("second"));
    tree.mkdir(at("shared"), 0o3777);
    const report = chownTreeByMaps(tree, { from: IDENTITY, to: FIRST });
    assert.deepEqual(report, { changed: 3, relinked: 0 });
    const stat = tree.stat(at("second"));
    assert.deepEqual([stat?.uid, stat?.nlink, stat?.mode], [1000, 2, 0o6755]);
    assert.equal(stat?.ino, tree.stat(at("first"))?.ino);
    assert.equal(tree.stat(at("shared"))?.mode, 0o3777);
    assert.deepEqual(tree.xattrs(at("first")).get(bytes("user.note")), CAPABILITY);
    // Version 3, for the namespace whose root is 1000; in it, it reads as what was there before.
    const mapped = Uint8Array.from([1, 0, 0, 3, ...CAPABILITY.subarray(4), 0xe8, 3, 0, 0]);
    assert.deepEqual(tree.xattrs(at("first")).get(bytes("security.capability")), mapped);
    chownTreeByMaps(tree, { from: FIRST, to: IDENTITY });
    assert.deepEqual(tree.xattrs(at("first")).get(bytes("security.capability")), CAPABILITY);
  });

  it("leaves the modification times of all objects", () => {
    using dir = scratch();
    mkdirSync(`${dir.path}/d`);
    writeFileSync(`${dir.path}/d/f`, "");
    symlinkSync("f", `${dir.path}/d/s`);
    lutimesSync(`${dir.path}/d/s`, 5, 6);
    utimesSync(`${dir.path}/d/f`, 5, 6);
    utimesSync(`${dir.path}/d`, 5, 6);
    utimesSync(dir.path, 5, 6);
    chown(dir.path, { from: IDENTITY, to: FIRST });
    using tree = RootedDir.open(dir.path);
    for (const name of ["d", "d/f", "d/s"]) assert.deepEqual(tree.stat(at(name))?.mtime, { sec: 6, nsec: 0 }, name);
    assert.deepEqual(tree.stat(ROOT)?.mtime, { sec: 6, nsec: 0 });
  });

  it("leaves marks alone, whoever owns them", () => {
    using dir = scratch();
    using tree = RootedDir.open(dir.path);
    tree.mknod(at("gone"), { type: "char", mode: 0 });
    setOwner(dir.path, at("gone"), 70000);
    chownTreeByMaps(tree, { from: IDENTITY, to: FIRST, isMark: ({ type }) => type === "char" });
    assert.equal(ownerOf(dir.path, at("gone")), "70000:70000");
  });

  it("changes nothing when a map lacks an owner, and names the path", () => {
    using dir = scratch();
    mkdirSync(`${dir.path}/d`);
    writeFileSync(`${dir.path}/d/z`, "");
    setOwner(dir.path, at("d/z"), 70000);
    for (const request of [{ from: IDENTITY, to: FIRST }, { from: FIRST, to: IDENTITY }]) {
      assert.throws(() => chown(dir.path, request), (error) => {
        return hasCode(error, "INVALID_ARGUMENT") && /Cannot change the owner of "\/(d\/z)?": /.test(error.message);
      });
      assert.equal(ownerOf(dir.path, ROOT), "0:0");
      assert.equal(ownerOf(dir.path, at("d")), "0:0");
    }
    chown(dir.path, { from: IDENTITY, to: FIRST, unmapped: { uid: 65534, gid: 65533 } });
    assert.equal(ownerOf(dir.path, at("d/z")), "65534:65533");
    assert.equal(ownerOf(dir.path, at("d")), "1000:1000");
  });

  it("joins the names of a file again that the first chown through an overlay parts", { skip: overlaySkip }, () => {
    using dir = scratch();
    for (const name of ["lower/d", "upper", "work", "merged"]) mkdirSync(`${dir.path}/${name}`, { recursive: true });
    writeFileSync(`${dir.path}/lower/a`, "content");
    chmodSync(`${dir.path}/lower/a`, 0o4755);
    for (const name of ["b", "d/c"]) linkSync(`${dir.path}/lower/a`, `${dir.path}/lower/${name}`);
    utimesSync(`${dir.path}/lower/d`, 5, 6);
    const options = "lowerdir=lower,upperdir=upper,workdir=work,index=off";
    const mounted = spawnSync("mount", ["-t", "overlay", "-o", options, "overlay", "merged"], { cwd: dir.path });
    assert.equal(mounted.status, 0, String(mounted.stderr));
    try {
      assert.equal(chown(`${dir.path}/merged`, { from: IDENTITY, to: FIRST }).relinked, 2);
      const stats = ["a", "b", "d/c"].map((name) => statSync(`${dir.path}/merged/${name}`));
      assert.equal(new Set(stats.map(({ ino }) => ino)).size, 1);
      for (const { nlink, uid, mode } of stats) assert.deepEqual([nlink, uid, mode & 0o7777], [3, 1000, 0o4755]);
      assert.equal(statSync(`${dir.path}/merged/d`).mtimeMs, 6000);
    } finally {
      spawnSync("umount", [`${dir.path}/merged`]);
    }
  });
});
