// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { type Digest, digestOf } from "../../src/core/digest.ts";
import { CHUNK_BYTES, STARGZ_TOC_BLOB_BYTES_MAX } from "../../src/core/limits.ts";
import { StargzTail } from "../../src/worker/stargz_tail.ts";
import { estargz, INDEX_JSON, stargzFooter, stargzTable } from "../support/chunked_blobs.ts";
import { cutInto } from "../support/recorded_contents.ts";
import { concat, END_MARKER, latin1, rawMember } from "../support/tar_builder.ts";

const MEMBERS = [rawMember({ name: "a/", type: "5" }), rawMember({ name: "a/b" }, "content")];
const DATA_BYTES = estargz(MEMBERS).length - stargzTable().length - 51;

describe("the table to which the footer of an eStargz blob leads", () => {
  it("has the digest of its JSON, however the blob is cut", async () => {
    const blob = estargz(MEMBERS);
    assert.equal(await tocOf([blob]), digestOf(INDEX_JSON));
    const steps = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(steps, async (cuts) => {
        assert.equal(await tocOf(cutInto(blob, cuts)), digestOf(INDEX_JSON));
      }),
      { numRuns: 10 },
    );
  });

  it("may be the whole blob", async () => {
    assert.equal(await tocOf([estargz([])]), digestOf(INDEX_JSON));
  });

  it("is found at the end of a blob that is larger than what is kept", async () => {
    const size = STARGZ_TOC_BLOB_BYTES_MAX + 12_345;
    const json = randomBytes(300_000).toString("hex");
    const expected = digestOf(json);
    for (const step of [CHUNK_BYTES - 1, size + 7, 65_536]) {
      const blob = concat(new Uint8Array(size), stargzTable({ json }), stargzFooter(size));
      assert.equal(await tocOf(cutInto(blob, [step])), expected);
    }
  });

  it("is not found when it is larger than what is kept", async () => {
    const table = stargzTable({ json: randomBytes(STARGZ_TOC_BLOB_BYTES_MAX) });
    assert.equal(await tocOf([table, stargzFooter(0)]), undefined);
  });

  const pretenders: Readonly<Record<string, Uint8Array>> = {
    "nothing": new Uint8Array(0),
    "less than a footer": new Uint8Array(50),
    "a footer only": stargzFooter(0),
    "an offset outside": estargz(MEMBERS, { offset: 1 << 30 }),
    "an offset of 64 bits": concat(estargz(MEMBERS).subarray(0, -51), patched(stargzFooter(0), 16, "f".repeat(16))),
    "an offset of the footer itself": estargz(MEMBERS, { offset: estargz(MEMBERS).length - 51 }),
    "an offset inside the member of the table": estargz(MEMBERS, { offset: DATA_BYTES + 1 }),
    "an offset of another member": estargz(MEMBERS, { offset: 0 }),
    "an offset that is no number": patched(estargz(MEMBERS), -35, "00000000000000zz"),
    "another mark": patched(estargz(MEMBERS), -19, "STARGX"),
    "data behind the footer": concat(estargz(MEMBERS), gzipSync("")),
    "padding behind the footer": concat(estargz(MEMBERS), new Uint8Array(9)),
    "no footer": estargz(MEMBERS).subarray(0, -51),
    "a second member in the table's archive": estargz(MEMBERS, { behind: rawMember({ name: "c" }) }),
    "a table of another name": concat(
      gzipSync(concat(rawMember({ name: "index.json" }, "{}"), END_MARKER)),
      stargzFooter(0),
    ),
    "a table that is cut short": concat(gzipSync(rawMember({ name: "stargz.index.json", size: 99 })), stargzFooter(0)),
    "a table that is a link": concat(
      gzipSync(rawMember({ name: "stargz.index.json", type: "2", linkName: "a" })),
      stargzFooter(0),
    ),
    "a table that is not compressed": concat(rawMember({ name: "stargz.index.json" }, "{}"), stargzFooter(0)),
  };
  for (const [what, blob] of Object.entries(pretenders)) {
    it(`is none in a blob with ${what}`, async () => assert.equal(await tocOf([blob]), undefined));
  }
});

async function tocOf(chunks: Iterable<Uint8Array>): Promise<Digest | undefined> {
  const tail = new StargzTail();
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    tail.push(lent);
    lent.fill(0);
  }
  return await tail.digest();
}

function patched(bytes: Uint8Array, at: number, text: string): Uint8Array {
  const copy = bytes.slice();
  copy.set(latin1(text), at < 0 ? bytes.length + at : at);
  return copy;
}
