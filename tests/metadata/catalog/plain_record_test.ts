// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { digestOf, parseChainId } from "../../../src/core/digest.ts";
import { isStrataError } from "../../../src/core/errors.ts";
import { parseRecordId } from "../../../src/core/ids.ts";
import {
  type CatalogRecord,
  catalogRecordText,
  plainRecordIn,
  readCatalogRecord,
} from "../../../src/metadata/catalog/catalog_record.ts";
import { scratchStore } from "../store_dir.ts";

const ID = parseRecordId("one");
const DIGEST = digestOf("layer");
const RECORD: CatalogRecord = {
  id: ID,
  names: ["docker.io/library/debian:13", "ü/…"],
  target: { kind: "layer", chainId: parseChainId(DIGEST) },
  parent: parseRecordId("below"),
  created: "2026-11-21T10:00:00.000Z",
  metadata: "{\n}",
  flags: {},
  mountLabel: "label",
  blob: { digest: DIGEST, size: 10, compression: "gzip", tocDigest: DIGEST },
};

/** What may stand in place of any value, or beside the fields. */
const anything = fc.oneof(
  fc.constantFrom<unknown>(null, -1, 0.5, 1e300, "", "x", "a/b", DIGEST, "sha256:x", "writable", "diff", [], {}, true),
  fc.constantFrom("2026-02-31T10:00:00.000Z", "2026-11-21 10:00:00Z", "2026-11-21T24:00:00.000Z", "\u0000", "\ud800"),
  fc.jsonValue(),
);
const key = fc.constantFrom(
  ...["schema", "id", "names", "target", "parent", "created", "metadata", "flags", "mountLabel", "uidMap", "gidMap"],
  ...["blob", "content", "bigData", "kind", "chainId", "awaits", "view", "digest", "size", "compression", "tocDigest"],
  ...["diffId", "sizeBytes", "archiveBytes", "__proto__", "other"],
);
const place = fc.constantFrom("", "target", "blob", "content");

describe("plainRecordIn()", () => {
  it("takes what nearly all records are", () => {
    assert.deepEqual(plainRecordIn(catalogRecordText(RECORD), ID), RECORD);
    assert.equal(plainRecordIn(catalogRecordText(RECORD), parseRecordId("other")), undefined);
    for (const text of ["", "{", "null", "[]", '"one"']) assert.equal(plainRecordIn(text, ID), undefined);
  });

  it("takes nothing that the schema would refuse or read otherwise", () => {
    using store = scratchStore();
    const path = `${store.root}/record.json`;
    fc.assert(
      fc.property(fc.array(fc.tuple(place, key, anything), { maxLength: 3 }), (changes) => {
        const document = JSON.parse(catalogRecordText(RECORD));
        document.content = { diffId: DIGEST, sizeBytes: 1 };
        for (const [where, name, value] of changes) {
          const owner = where === "" ? document : document[where];
          if (typeof owner !== "object" || owner === null) continue;
          if (value === null && name !== "other") delete owner[name];
          else Object.defineProperty(owner, name, { value, enumerable: true, configurable: true, writable: true });
        }
        const text = JSON.stringify(document);
        const plain = plainRecordIn(text, ID);
        writeFileSync(path, text);
        if (plain !== undefined) assert.deepEqual(plain, whole(path));
      }),
      { numRuns: 3000 },
    );
  });
});

function whole(path: string): CatalogRecord | undefined | string {
  try {
    return readCatalogRecord(path, ID);
  } catch (error) {
    return isStrataError(error) ? error.message : String(error);
  }
}
