// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  findLeftTrials,
  overlayRefusal,
  removeLeftTrial,
} from "../../../../src/driver/overlay/mounting/namespace_trial.ts";
import { tryLock } from "../../../../src/host/file_lock.ts";
import { IS_ROOT, scratch } from "../../../host/scratch.ts";

const [ONE, TWO, THREE] = ["1", "2", "3"].map((digit) => `.strata-trial-${digit.repeat(64)}`) as [
  string,
  string,
  string,
];

describe("overlayRefusal()", () => {
  it("leaves nothing, whatever it finds", async () => {
    using place = scratch();
    await overlayRefusal(join(place.path, "not/yet"));
    assert.deepEqual(readdirSync(place.path), []);
  });
});

describe("findLeftTrials()", () => {
  it("finds them in the root and above it, and nothing else of that name", () => {
    using place = scratch();
    const root = join(place.path, "share/root");
    const left = [join(root, ONE), join(place.path, "share", ONE), join(place.path, TWO)];
    for (const path of left) mkdirSync(join(path, "work"), { recursive: true });
    mkdirSync(join(place.path, ".strata-trial-x"));
    mkdirSync(join(place.path, "share/other", ONE), { recursive: true });
    writeFileSync(join(place.path, ONE), "");
    const found = (from: string) =>
      findLeftTrials(from).map(({ path }) => path).filter((path) => path.startsWith(place.path));
    assert.deepEqual(found(root), left);
    assert.deepEqual(found(join(place.path, "share/gone")), left.slice(1));
  });

  it("leaves one alone whose owner lives, until it has ended", () => {
    using place = scratch();
    const dir = join(place.path, ONE);
    mkdirSync(dir);
    const found = () => findLeftTrials(place.path).some(({ path }) => path === dir);
    {
      using _owner = tryLock(join(dir, "lock"), "exclusive");
      assert.equal(found(), false);
      assert.equal(removeLeftTrial(dir), "live");
      assert.ok(existsSync(dir));
    }
    assert.equal(found(), true);
    assert.equal(removeLeftTrial(dir), "removed");
    assert.ok(!existsSync(dir));
    assert.equal(removeLeftTrial(dir), "removed");
  });

  it("leaves those of other users alone", { skip: IS_ROOT ? false : "giving directories away needs root" }, () => {
    using place = scratch();
    mkdirSync(join(place.path, THREE));
    chownSync(join(place.path, THREE), 61234, 61234);
    assert.ok(!findLeftTrials(place.path).some(({ path }) => path.startsWith(place.path)));
  });
});
