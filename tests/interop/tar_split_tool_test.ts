// SPDX-License-Identifier: Apache-2.0
/**
 * Files of the `tar-split` tool read here, and files written here read by the tool.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { toText } from "../../src/core/bytes.ts";
import { assemble } from "../../src/tarsplit/assemble.ts";
import { decodeRecords, encodeRecord } from "../../src/tarsplit/codec.ts";
import { SplitWriter } from "../../src/tarsplit/file.ts";
import type { FileRecord, SplitRecord } from "../../src/tarsplit/record.ts";
import { needsPrograms } from "../support/interop.ts";
import { splitArchive } from "../support/recorded_contents.ts";

const needs = needsPrograms("tar-split", "tar");

describe("the tar-split tool", needs, () => {
  for (const format of ["gnu", "pax"]) {
    it(`writes files from which assemble() rebuilds an archive (${format})`, () => {
      inScratch((dir) => {
        const archive = makeArchive(dir, format);
        run("tar-split", "disasm", "--output", `${dir}/theirs.json.gz`, `${dir}/in.tar`);
        const lines = gunzipSync(readFileSync(`${dir}/theirs.json.gz`));
        const rebuilt = Buffer.concat([...assemble(decodeRecords([lines]), treeContents(`${dir}/out`))]);
        assert.ok(rebuilt.equals(archive));
      });
    });

    it(`writes the lines that we write (${format})`, () => {
      inScratch((dir) => {
        const archive = makeArchive(dir, format);
        run("tar-split", "disasm", "--output", `${dir}/theirs.json.gz`, `${dir}/in.tar`);
        const lines = gunzipSync(readFileSync(`${dir}/theirs.json.gz`)).toString().split("\n");
        const ours = splitArchive([archive]).records.map(encodeRecord);
        // The last lines are what trails behind the end marker, which the tool cuts as it reads.
        assert.deepEqual(ours.slice(0, -1), lines.slice(0, ours.length - 1).map((line) => `${line}\n`));
      });
    });

    it(`rebuilds an archive from our file (${format})`, () => {
      inScratch((dir) => assertToolRebuilds(dir, makeArchive(dir, format)));
    });
  }

  it("rebuilds from our file what it cannot split itself: repeats, sparse files, sizes without content", () => {
    inScratch((dir) => {
      makeTree(`${dir}/tree`);
      run("truncate", "--size=1M", `${dir}/tree/sparse`);
      writeFileSync(`${dir}/tree/sparse`, "data", { flag: "a" });
      run("tar", "--format=gnu", "--sparse", "-cf", `${dir}/in.tar`, "-C", `${dir}/tree`, ".");
      writeFileSync(`${dir}/tree/small0`, "a newer one");
      run("tar", "-rf", `${dir}/in.tar`, "-C", `${dir}/tree`, "./small0", "./d");
      const archive = readFileSync(`${dir}/in.tar`);
      assert.throws(
        () => run("tar-split", "disasm", "--output", `${dir}/x.json.gz`, `${dir}/in.tar`),
        /duplicates of file paths/,
      );
      extract(dir);
      assertToolRebuilds(dir, archive);
    });
  });

  it("rebuilds an archive with a name that is not UTF-8 from our file", () => {
    inScratch((dir) => {
      mkdirSync(`${dir}/tree`);
      run("sh", "-c", `printf content > "${dir}/tree/$(printf 'bad\\377')"`);
      assertToolRebuilds(dir, pack(dir, "gnu"));
    });
  });
});

function assertToolRebuilds(dir: string, archive: Buffer): void {
  writeFileSync(`${dir}/ours.json.gz`, splitFile(splitArchive([archive]).records));
  run("tar-split", "asm", "--input", `${dir}/ours.json.gz`, "--path", `${dir}/out`, "--output", `${dir}/out.tar`);
  assert.ok(readFileSync(`${dir}/out.tar`).equals(archive));
}

/** Makes `in.tar` of a small tree, and unpacks it to `out`. */
function makeArchive(dir: string, format: string): Buffer {
  makeTree(`${dir}/tree`);
  return pack(dir, format);
}

function pack(dir: string, format: string): Buffer {
  run("tar", `--format=${format}`, "-cf", `${dir}/in.tar`, "-C", `${dir}/tree`, ".");
  extract(dir);
  return readFileSync(`${dir}/in.tar`);
}

function extract(dir: string): void {
  mkdirSync(`${dir}/out`);
  run("tar", "-xf", `${dir}/in.tar`, "-C", `${dir}/out`);
}

/** Enough members that our file has several gzip members. */
function makeTree(tree: string): void {
  const long = `${"long-".repeat(30)}name`;
  mkdirSync(`${tree}/d/${long}`, { recursive: true });
  writeFileSync(`${tree}/d/${long}/${long}`, "long");
  writeFileSync(`${tree}/d/large`, Buffer.alloc(300_001, "large"));
  writeFileSync(`${tree}/empty`, "");
  writeFileSync(`${tree}/<é>&"name"\\`, "name");
  linkSync(`${tree}/d/large`, `${tree}/d/linked`);
  symlinkSync(`d/${long}/${long}`, `${tree}/symlink`);
  for (let i = 0; i < 400; i++) writeFileSync(`${tree}/small${i}`, `content ${i}`);
}

function splitFile(records: readonly SplitRecord[]): Buffer {
  const members: Uint8Array[] = [];
  const writer = new SplitWriter({ compress: (bytes) => gzipSync(bytes), sink: (bytes) => members.push(bytes) });
  for (const record of records) writer.write(record);
  writer.end();
  return Buffer.concat(members);
}

function treeContents(root: string) {
  return { open: (record: FileRecord) => [readFileSync(`${root}/${toText(record.name)}`)] };
}

function inScratch(body: (dir: string) => void): void {
  const dir = mkdtempSync(`${tmpdir()}/strata-tar-split-`);
  try {
    body(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function run(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${error ?? stderr}`);
}
