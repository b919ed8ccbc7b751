// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { parseRecordId } from "../../src/core/ids.ts";
import { StoreLayout } from "../../src/metadata/layout.ts";
import { chainIdOf, refusal } from "./store_dir.ts";

describe("StoreLayout", () => {
  it("puts everything where Docker looks for it, and the rest beside it", () => {
    const layout = new StoreLayout("/s", "vfs");
    const hex = chainIdOf("a").slice("sha256:".length);
    assert.equal(layout.layerDir(chainIdOf("a")), `/s/image/vfs/layerdb/sha256/${hex}`);
    assert.equal(layout.mountDir("m"), "/s/image/vfs/layerdb/mounts/m");
    assert.equal(layout.dockerTmpDir, "/s/image/vfs/layerdb/tmp");
    assert.equal(layout.recordPath(parseRecordId("r")), "/s/image/vfs/strata/catalog/records/r.json");
    assert.equal(layout.namesDir, "/s/image/vfs/strata/catalog/names");
    assert.equal(layout.stagingDir, "/s/strata/tmp");
    assert.equal(layout.holdsDir, "/s/strata/holds");
    assert.equal(layout.lockPath, "/s/strata/lock");
  });

  it("refuses a driver name that is no directory name", () => {
    for (const name of ["", "..", "a/b", "-x", "A"]) {
      assert.throws(() => new StoreLayout("/s", name), refusal("INVALID_ARGUMENT"));
    }
  });
});
