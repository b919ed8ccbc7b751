// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StrataError } from "../../../../src/core/errors.ts";
import { IDENTITY, type IdMappings, parseIdMap } from "../../../../src/core/id_map.ts";
import { probeOverlay } from "../../../../src/driver/overlay/mounting/probe.ts";
import { Shifting, type ShiftingTrial, tryShifting } from "../../../../src/driver/overlay/mounting/shifting.ts";
import { IS_ROOT } from "../../../host/scratch.ts";

const MAPS = mappings("0:1000:65536");
const OTHER = mappings("0:300000:65536");

function mappings(text: string): IdMappings {
  return { uids: parseIdMap(text), gids: parseIdMap(text) };
}

/** A home in which trials end as told, one after the other. */
function trials(...outcomes: (ShiftingTrial | Error)[]) {
  const asked: IdMappings[] = [];
  const shifting = new Shifting("/nowhere", (maps) => {
    asked.push(maps);
    const outcome = outcomes.shift() ?? new Error("One trial too many");
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
  });
  return { shifting, asked };
}

describe("Shifting", () => {
  it("tries each map once, whether it works or not", async () => {
    const { shifting, asked } = trials({ kind: "lasting" }, { kind: "lasting", refusal: "it does not" });
    for (let round = 0; round < 3; round++) {
      assert.equal(await shifting.refusal(MAPS), undefined);
      assert.equal(await shifting.refusal(OTHER), "it does not");
    }
    assert.deepEqual(asked, [MAPS, OTHER]);
  });

  it("tries again when something was lacking, or the trial itself failed", async () => {
    const { shifting, asked } = trials(
      { kind: "passing", refusal: "the disk is full" },
      new StrataError("IO", "Cannot unmount", {}),
      { kind: "lasting" },
    );
    assert.equal(await shifting.refusal(MAPS), "the disk is full");
    await assert.rejects(shifting.refusal(MAPS), /Cannot unmount/);
    assert.equal(await shifting.refusal(MAPS), undefined);
    assert.equal(await shifting.refusal(MAPS), undefined);
    assert.equal(asked.length, 3);
  });

  it("asks once for all who ask at the same time", async () => {
    const { shifting, asked } = trials({ kind: "passing", refusal: "full" }, { kind: "lasting" });
    assert.deepEqual(await Promise.all([shifting.refusal(MAPS), shifting.refusal(MAPS)]), ["full", "full"]);
    assert.equal(await shifting.refusal(MAPS), undefined);
    assert.equal(asked.length, 2);
  });

  it("tells users' maps from groups'", async () => {
    const { shifting, asked } = trials({ kind: "lasting" }, { kind: "lasting" }, { kind: "lasting" });
    for (const uids of [MAPS.uids, IDENTITY.uids]) {
      for (const gids of [MAPS.gids, IDENTITY.gids]) {
        if (uids.length + gids.length > 0) assert.equal(await shifting.refusal({ uids, gids }), undefined);
      }
    }
    assert.equal(asked.length, 3);
  });
});

const skip = IS_ROOT ? await probeOverlay(tmpdir()) ?? false : "only root may map owners";

describe("tryShifting()", { skip }, () => {
  it("leaves nothing, and says what will last", async () => {
    const home = mkdtempSync(join(tmpdir(), "strata-shifting-"));
    try {
      const { kind } = await tryShifting(home, MAPS);
      assert.equal(kind, "lasting");
      // Two users of the container cannot be one of the host.
      const impossible = [{ containerId: 0, hostId: 1000, size: 10 }, { containerId: 10, hostId: 1005, size: 10 }];
      const refused = await tryShifting(home, { uids: impossible, gids: impossible });
      assert.equal(refused.kind, "lasting");
      assert.match(refused.refusal ?? "", /EINVAL|EPERM/);
      assert.deepEqual(readdirSync(home), []);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});
