// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LayerDescriptor } from "../../src/core/descriptor.ts";
import { descriptorText, readDescriptor } from "../../src/metadata/descriptor_file.ts";
import { refusal, scratchStore } from "./store_dir.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const context = { action: "read it", remedy: "write it again" };

function readText(text: string): LayerDescriptor | undefined {
  using store = scratchStore();
  const path = join(store.root, "descriptor.json");
  writeFileSync(path, text);
  return readDescriptor(path, context);
}

describe("readDescriptor()", () => {
  it("gives back what descriptorText() writes, which is Docker's form", () => {
    const whole: LayerDescriptor = {
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      size: 7,
      digest: DIGEST,
      urls: ["https://example.com/a", "https://example.com/b"],
      annotations: { "org.example": "ü" },
      platform: {
        architecture: "arm64",
        os: "windows",
        "os.version": "10.0.1",
        "os.features": ["win32k"],
        variant: "v8",
      },
    };
    assert.equal(descriptorText(whole), JSON.stringify(whole));
    assert.deepEqual(readText(descriptorText(whole)), whole);
    assert.deepEqual(readText(`${JSON.stringify(whole, undefined, 2)}\n`), whole);
  });

  it("leaves empty fields out", () => {
    const empty = { mediaType: "", size: 0, digest: DIGEST, urls: [], annotations: {} };
    assert.equal(descriptorText(empty), `{"digest":"${DIGEST}"}`);
    assert.deepEqual(readText(JSON.stringify(empty)), { digest: DIGEST });
    assert.deepEqual(readText(JSON.stringify({ ...empty, urls: null, platform: null, more: 1 })), { digest: DIGEST });
    assert.equal(descriptorText({ digest: DIGEST, platform: { os: "linux" } }).includes(`"architecture":""`), true);
  });

  it("takes digests of any algorithm, for it is kept and not computed", () => {
    assert.equal(readText(`{"digest":"sha512:abc"}`)?.digest, "sha512:abc");
  });

  it("is undefined for no file, and for one that names no blob", () => {
    assert.equal(readDescriptor("/nonexistent/descriptor.json", context), undefined);
    assert.equal(readText("{}"), undefined);
    assert.equal(readText(`{"digest":""}`), undefined);
  });

  for (const text of ["", "{", "[]", "7", `{"size":"7"}`, `{"size":-1}`, `{"urls":[1]}`, `{"annotations":{"a":1}}`]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => readText(text), refusal("CORRUPT", "descriptor.json"));
    });
  }
});
