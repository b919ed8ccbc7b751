// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, it } from "node:test";
import { LayersFileReader } from "../../../src/metadata/containers_storage/layers_file.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("LayersFileReader", () => {
  let dir = "";
  let path = "";
  beforeEach(() => {
    dir = mkdtempSync(`${tmpdir()}/strata-layers-`);
    path = `${dir}/layers.json`;
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  for (
    const [what, text] of [["no", undefined], ["an empty", ""], ["a null", "null"], [
      "an empty list as",
      "[]\n",
    ]] as const
  ) {
    it(`reads nothing out of ${what} file`, () => {
      if (text !== undefined) writeFileSync(path, text);
      assert.deepEqual(new LayersFileReader(path).read(), { layers: [], findings: [] });
    });
  }

  for (const text of ["[{", "{}", `"x"`, "[]]"]) {
    it(`refuses ${text} and names the file`, () => {
      writeFileSync(path, text);
      assert.throws(() => new LayersFileReader(path).read(), { code: "CORRUPT", detail: { path } });
    });
  }

  it("reads a whole record, and ignores keys that it does not know", () => {
    const record = {
      id: "l1",
      names: ["a", "b", "a"],
      parent: "l0",
      metadata: "text",
      mountlabel: "label",
      created: "2026-11-21T21:18:36.088494733Z",
      "compressed-diff-digest": DIGEST,
      "compressed-size": 241,
      "diff-digest": DIGEST,
      "toc-digest": DIGEST,
      "diff-size": 10240,
      compression: 2,
      uidset: [0, 5],
      gidset: [0, 7],
      flags: { any: { thing: [1] } },
      uidmap: [{ container_id: 0, host_id: 100000, size: 65536 }],
      "big-data-names": ["k"],
      "from-the-future": { x: 1 },
    };
    writeFileSync(path, JSON.stringify([record]));
    const { layers, findings } = new LayersFileReader(path).read();
    assert.deepEqual(findings, []);
    assert.deepEqual(layers, [{
      recordId: "l1",
      cacheId: "l1",
      names: ["a", "b"],
      parent: "l0",
      metadata: "text",
      mountLabel: "label",
      created: "2026-11-21T21:18:36.088494733Z",
      blob: { digest: DIGEST, size: 241 },
      compression: 2,
      diffId: DIGEST,
      tocDigest: DIGEST,
      archiveBytes: 10240,
      uids: [0, 5],
      gids: [0, 7],
      flags: { any: { thing: [1] } },
      mappings: { uids: [{ containerId: 0, hostId: 100000, size: 65536 }], gids: [] },
      bigDataNames: ["k"],
    }]);
  });

  it("takes null as the empty value, and a layer without a time", () => {
    writeFileSync(
      path,
      `[{"id":"x","names":null,"parent":null,"flags":null,"diff-digest":null,"toc-digest":"","uidmap":null}]`,
    );
    const { layers } = new LayersFileReader(path).read();
    assert.equal(layers[0]?.created, "0001-01-01T00:00:00Z");
    assert.equal(layers[0]?.diffId, undefined);
  });

  it("lets a damaged record hide no other", () => {
    const damaged = [
      { id: "bad1", names: "text" },
      { id: "bad2", "diff-digest": "sha256:short" },
      { id: "bad3", uidmap: [{ container_id: 0, host_id: 1, size: 0 }] },
      { id: "bad4", created: "yesterday" },
      17,
      null,
      { names: [] },
    ];
    writeFileSync(path, JSON.stringify([{ id: "one" }, ...damaged, { id: "two" }]));
    const { layers, findings } = new LayersFileReader(path).read();
    assert.deepEqual(layers.map(({ recordId }) => String(recordId)), ["one", "two"]);
    assert.deepEqual(findings.map(({ subject }) => subject), [
      "bad1",
      "bad2",
      "bad3",
      "bad4",
      "layer 6",
      "layer 7",
      "layer 8",
    ]);
    for (const { error, severity } of findings) assert.deepEqual([error.code, severity], ["CORRUPT", "broken"]);
  });

  it("never makes a path of an odd id", () => {
    const ids = ["../x", "a/b", "two words", ".hidden", "l", "staging", "tempdirs", "layers.json", "", "x\0y"];
    writeFileSync(path, JSON.stringify(ids.map((id) => ({ id }))));
    const { layers, findings } = new LayersFileReader(path).read();
    assert.deepEqual(layers, []);
    assert.equal(findings.length, ids.length);
    assert.ok(findings.every(({ error }) => error.message.includes("unusable id")));
  });

  it("reads again when, and only when, the file is another", () => {
    writeFileSync(path, `[{"id":"one"}]`);
    const reader = new LayersFileReader(path);
    const first = reader.read();
    assert.equal(reader.read(), first);
    writeFileSync(`${path}.new`, `[{"id":"two"}]`);
    renameSync(`${path}.new`, path);
    assert.equal(reader.read().layers[0]?.recordId, "two");
    rmSync(path);
    assert.deepEqual(reader.read().layers, []);
  });
});
