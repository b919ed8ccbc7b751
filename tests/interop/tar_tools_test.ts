// SPDX-License-Identifier: Apache-2.0
/**
 * The codec against GNU tar, bsdtar and Python: their archives are read, and they read ours.
 *
 * @module
 */
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type ByteString, fromBytes, fromText } from "../../src/core/bytes.ts";
import type { TarMember } from "../../src/tar/entry.ts";
import { TarWriter } from "../../src/tar/writer.ts";
import { concat, latin1 } from "../support/tar_builder.ts";
import { bytesOf, type ReadMember, readTar } from "../support/tar_reading.ts";

const LONG = `${"long".repeat(30)}/${"name".repeat(30)}`;
const SPARSE_BYTES = 3 << 20;

let work = "";
let tree = "";
before(() => {
  work = fs.mkdtempSync(join(tmpdir(), "strata-tar-tools-"));
  tree = join(work, "tree");
  makeTree();
});
after(() => fs.rmSync(work, { recursive: true, force: true }));

function makeTree(): void {
  fs.mkdirSync(join(tree, "d"), { recursive: true });
  fs.writeFileSync(join(tree, "d/file"), "content");
  fs.writeFileSync(join(tree, "d/empty"), "");
  fs.linkSync(join(tree, "d/file"), join(tree, "d/hard"));
  fs.symlinkSync("../d/file", join(tree, "d/soft"));
  fs.utimesSync(join(tree, "d/file"), 1700000000.25, 1700000000.25);
}

function addLongNames(): void {
  fs.mkdirSync(join(tree, LONG, ".."), { recursive: true });
  fs.writeFileSync(join(tree, LONG), "long");
  fs.symlinkSync(`/${LONG}`, join(tree, "long-link"));
  shell('printf bytes > "$1/$(printf "$2")"', tree, octal("bytes-\xff\xe9"));
}

function addSparseFile(): void {
  const fd = fs.openSync(join(tree, "sparse"), "w");
  fs.writeSync(fd, latin1("begin"), 0, 5, 0);
  for (let i = 0; i < 40; i++) fs.writeSync(fd, latin1("middle"), 0, 6, 65536 * (i + 1));
  fs.ftruncateSync(fd, SPARSE_BYTES);
  fs.closeSync(fd);
}

/** The shell, since Deno's own file functions cannot express a name that is not UTF-8. */
function shell(script: string, ...args: readonly string[]): Uint8Array {
  return run("sh", ["-c", script, "sh", ...args]);
}

/** A name as printf(1) takes it. */
function octal(name: string): string {
  return Array.from(name, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`).join("");
}

const has = (tool: string): boolean => spawnSync(tool, ["--version"]).status === 0;
/** `{ skip }` with the reason when a tool is not installed. */
const needs = (tool: string): { skip?: string } => has(tool) ? {} : { skip: `${tool} is not installed` };

function run(tool: string, args: readonly string[], input?: Uint8Array): Uint8Array {
  const result = spawnSync(tool, args, {
    maxBuffer: 1 << 26,
    env: { LC_ALL: "C.UTF-8", PATH: process.env["PATH"] },
    ...(input === undefined ? {} : { input }),
  });
  assert.equal(result.status, 0, `${tool} ${args.join(" ")}: ${result.stderr}`);
  return new Uint8Array(result.stdout);
}

/** The members of an archive by name; every byte of it must have been told. */
function read(bytes: Uint8Array): Map<string, ReadMember> {
  const { error, members, events } = readTar(bytes, { chunks: [65536 + 7] });
  if (error !== undefined) throw error;
  assert.ok(Buffer.from(bytesOf(events)).equals(bytes), "bytes were lost");
  return new Map(members.map((member) => [member.entry.name.replace(/^\.\//, ""), member]));
}

/** The whole content, with its holes. */
function contentOf({ entry, payload }: ReadMember): Uint8Array {
  if (entry.sparse === undefined) return payload;
  const content = new Uint8Array(entry.size);
  let at = 0;
  for (const { offset, length } of entry.sparse) {
    content.set(payload.subarray(at, at + length), offset);
    at += length;
  }
  return content;
}

function assertTree(members: ReadonlyMap<string, ReadMember>): void {
  const file = members.get("d/file");
  const hard = members.get("d/hard");
  const [first, second] = file?.entry.type === "file" ? [file, hard] : [hard, file];
  assert.deepEqual(first?.payload, latin1("content"));
  assert.equal(second?.entry.type, "hardlink");
  assert.equal(second?.entry.size, 0);
  assert.equal(members.get("d/")?.entry.type, "dir");
  assert.equal(members.get("d/empty")?.entry.size, 0);
  assert.equal(members.get("d/soft")?.entry.linkName, "../d/file");
  assert.equal(first?.entry.mtime.sec, 1700000000);
  assert.equal(first?.entry.uid, process.getuid?.());
}

function assertLongNames(members: ReadonlyMap<string, ReadMember>): void {
  assert.deepEqual(members.get(LONG)?.payload, latin1("long"));
  assert.equal(members.get("long-link")?.entry.linkName, `/${LONG}`);
  assert.deepEqual(members.get("bytes-\xff\xe9")?.payload, latin1("bytes"));
}

describe("TarReader reads what others write", () => {
  const gnu = (format: string): Uint8Array =>
    run("tar", ["-C", tree, "--sort=name", `--format=${format}`, "-cf", "-", "."]);
  const bsd = (format: string): Uint8Array => run("bsdtar", ["-C", tree, `--format=${format}`, "-cf", "-", "."]);

  it("GNU tar in v7", needs("tar"), () => assertTree(read(gnu("v7"))));
  it("GNU tar in ustar", needs("tar"), () => assertTree(read(gnu("ustar"))));
  it("bsdtar in ustar", needs("bsdtar"), () => assertTree(read(bsd("ustar"))));

  describe("with long names and names that are not UTF-8", () => {
    before(addLongNames);
    for (const format of ["gnu", "oldgnu", "posix"]) {
      it(`GNU tar in ${format}`, needs("tar"), () => {
        const members = read(gnu(format));
        assertTree(members);
        assertLongNames(members);
        const nsec = members.get("d/file")?.entry.mtime.nsec;
        assert.equal(nsec, format === "posix" ? 250_000_000 : 0);
      });
    }
    for (const format of ["pax", "paxr", "gnutar"]) {
      it(`bsdtar in ${format}`, needs("bsdtar"), () => {
        const members = read(bsd(format));
        assertTree(members);
        assertLongNames(members);
      });
    }
    for (const format of ["GNU_FORMAT", "PAX_FORMAT"]) {
      it(`Python in ${format}`, needs("python3"), () => {
        const script = "import sys, tarfile\n" +
          `t = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.${format})\n` +
          "t.add(sys.argv[1], arcname='.')\nt.close()";
        const members = read(run("python3", ["-c", script, tree]));
        assertTree(new Map([...members, ["d/", members.get("d/") ?? members.get("d")!]]));
        assertLongNames(members);
      });
    }
  });

  describe("with a sparse file", () => {
    before(addSparseFile);
    const assertSparse = (members: ReadonlyMap<string, ReadMember>): void => {
      const member = members.get("sparse");
      assert.ok(member?.entry.sparse !== undefined && member.entry.sparse.length > 21, "not stored as sparse");
      assert.equal(member.entry.size, SPARSE_BYTES);
      assert.ok(Buffer.from(contentOf(member)).equals(fs.readFileSync(join(tree, "sparse"))), "content differs");
    };
    for (const version of ["0.0", "0.1", "1.0"]) {
      it(`GNU tar in PAX ${version}`, needs("tar"), () => {
        const args = ["--format=posix", "--sparse", `--sparse-version=${version}`, "--hole-detection=raw"];
        assertSparse(read(run("tar", ["-C", tree, ...args, "-cf", "-", "sparse", "d"])));
      });
    }
    it("GNU tar in GNU format", needs("tar"), () => {
      const args = ["--format=gnu", "--sparse", "--hole-detection=raw", "-cf", "-", "sparse", "d"];
      assertSparse(read(run("tar", ["-C", tree, ...args])));
    });
    it("bsdtar in pax, sparse or not", needs("bsdtar"), () => {
      const member = read(run("bsdtar", ["-C", tree, "--format=pax", "-cf", "-", "sparse"])).get("sparse");
      assert.ok(member !== undefined);
      assert.ok(Buffer.from(contentOf(member)).equals(fs.readFileSync(join(tree, "sparse"))));
    });
  });
});

describe("TarWriter writes what others read", () => {
  const owner = { mode: 0o640, uid: 1, gid: 4294967294, mtime: { sec: 1700000000, nsec: 123456789 } };
  const odd = fromBytes(latin1("bytes-\xff\xe9"));
  const names: ByteString[] = [fromText("plain"), fromText(LONG), fromText("d/é"), odd];

  function ours(): Uint8Array {
    const pieces: Uint8Array[] = [];
    const writer = new TarWriter((bytes) => pieces.push(bytes));
    const file = (name: ByteString, extra: Partial<TarMember> = {}): void => {
      writer.entry({ name, type: "file", ...owner, size: 3, ...extra });
      writer.data(latin1("foo"));
    };
    for (const name of names) file(name);
    file(fromText("second"), { mtime: { sec: -2, nsec: 500_000_000 } });
    file(fromText("ustar"), { gid: 7, mtime: { sec: 1700000000, nsec: 0 } });
    writer.entry({ name: fromText("dir"), type: "dir", ...owner });
    writer.entry({ name: fromText("soft"), type: "symlink", linkName: fromText(LONG), ...owner });
    writer.entry({ name: fromText("hard"), type: "hardlink", linkName: odd, ...owner });
    writer.end();
    return concat(...pieces);
  }
  const expected = [...names, "second", "ustar", "dir/", "soft", "hard"];

  it("GNU tar lists the same names, byte for byte", needs("tar"), () => {
    const listed = run("tar", ["--quoting-style=literal", "-tf", "-"], ours());
    assert.deepEqual(fromBytes(listed).trimEnd().split("\n"), expected);
  });

  it("bsdtar extracts the same bytes under the same names", needs("bsdtar"), () => {
    const out = fs.mkdtempSync(join(work, "out-"));
    // A warning about the name that is not UTF-8 makes its status 1.
    spawnSync("bsdtar", ["-C", out, "--no-same-owner", "-xf", "-"], {
      input: ours(),
      env: { LC_ALL: "C", PATH: process.env["PATH"] },
    });
    for (const name of names) {
      assert.deepEqual(shell('cat "$1/$(printf "$2")"', out, octal(name)), latin1("foo"));
    }
    assert.deepEqual(shell('stat -c %.9Y "$1/plain"', out), latin1("1700000000.123456789\n"));
    assert.equal(fs.readlinkSync(join(out, "soft")), LONG);
  });

  it("Python reads the same metadata", needs("python3"), () => {
    const script = "import sys, tarfile, io\n" +
      "t = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))\n" +
      "for m in t: print(m.name.encode('utf-8', 'surrogateescape').hex(), m.type.decode(), m.mode, m.uid, m.gid, m.size, int(m.mtime // 1))";
    const lines = new TextDecoder().decode(run("python3", ["-c", script], ours())).trimEnd().split("\n");
    const hex = (name: string): string => Buffer.from(name, "latin1").toString("hex");
    const rest = "416 1 4294967294";
    assert.deepEqual(lines, [
      ...names.map((name) => `${hex(name)} 0 ${rest} 3 1700000000`),
      `${hex("second")} 0 ${rest} 3 -2`,
      `${hex("ustar")} 0 416 1 7 3 1700000000`,
      `${hex("dir")} 5 ${rest} 0 1700000000`,
      `${hex("soft")} 2 ${rest} 0 1700000000`,
      `${hex("hard")} 1 ${rest} 0 1700000000`,
    ]);
  });

  it("GNU tar restores extended attributes", needs("tar"), () => {
    const value = Uint8Array.of(1, 0, 10, 61, 255);
    const pieces: Uint8Array[] = [];
    const writer = new TarWriter((bytes) => pieces.push(bytes));
    writer.entry({ name: fromText("x"), type: "file", ...owner, xattrs: new Map([[fromText("user.strata"), value]]) });
    writer.end();
    const listed = run("tar", ["--xattrs", "--xattrs-include=*", "-tvvf", "-"], concat(...pieces));
    assert.match(new TextDecoder().decode(listed), /x: 5 user\.strata|\* ?.*5.*user\.strata/);
  });
});
