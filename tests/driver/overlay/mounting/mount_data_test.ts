// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../../../src/core/errors.ts";
import {
  fitsMountData,
  kernelSwitches,
  LOWERS_MAX,
  MOUNT_DATA_BYTES_MAX,
  overlayMountData,
  parseMountOptions,
} from "../../../../src/driver/overlay/mounting/mount_data.ts";

const ALL_SWITCHES = ["index=off", "redirect_dir=nofollow", "metacopy=off"];
const LOWER = `l/${"A".repeat(26)}`;
const ID = "a".repeat(64);

describe("parseMountOptions()", () => {
  const refused = [
    "lowerdir=/etc",
    "upperdir=x",
    "metacopy=on",
    "index=on",
    "a,b",
    "x=a\\b",
    "",
    "=",
    'x="y"',
  ];
  for (const option of refused) {
    it(`refuses ${JSON.stringify(option)}`, () => {
      assert.throws(() => parseMountOptions([option]), (error) => hasCode(error, "INVALID_ARGUMENT"));
    });
  }
});

describe("kernelSwitches()", () => {
  it("names only what the kernel knows", () => {
    assert.deepEqual(kernelSwitches([]), []);
    assert.deepEqual(kernelSwitches(["index", "redirect_dir"]), ["index=off", "redirect_dir=off"]);
    assert.deepEqual(kernelSwitches(["index", "metacopy", "redirect_always_follow", "redirect_dir"]), ALL_SWITCHES);
  });

  it("states no redirects where marks are user attributes, since the kernel refuses both together", () => {
    const parameters = ["index", "metacopy", "redirect_always_follow", "redirect_dir"];
    assert.deepEqual(kernelSwitches(parameters, "user"), ["index=off", "userxattr", "metacopy=off"]);
  });
});

describe("overlayMountData()", () => {
  it("states lowers, upper, switches, the user's options and the label", () => {
    const data = overlayMountData({
      lowers: ["l/B", "l/A"],
      upper: { diff: "x/diff", work: "x/work" },
      switches: ["index=off"],
      extra: ["nodev"],
      label: "system_u:object_r:container_file_t:s0:c1,c2",
    });
    assert.equal(
      data,
      "lowerdir=l/B:l/A,index=off,upperdir=x/diff,workdir=x/work,nodev," +
        'context="system_u:object_r:container_file_t:s0:c1,c2"',
    );
  });

  it("leaves out what a read-only mount does not have", () => {
    assert.equal(overlayMountData({ lowers: ["a", "b"], switches: [], extra: [], label: "" }), "lowerdir=a:b");
  });

  it("has room for as many layers as the kernel takes, by names of two characters", () => {
    const mount = {
      lowers: Array.from({ length: LOWERS_MAX }, () => "zz"),
      upper: { diff: `../${ID}/diff`, work: `../${ID}/work` },
      switches: ALL_SWITCHES,
      extra: [],
    };
    assert.ok(fitsMountData(mount));
    assert.ok(overlayMountData(mount).length <= MOUNT_DATA_BYTES_MAX);
    const higher = { ...mount, lowers: [...mount.lowers, "zz"] };
    assert.throws(
      () => overlayMountData(higher),
      (error) => hasCode(error, "MAX_DEPTH") && error.detail.depthMax === LOWERS_MAX,
    );
    assert.equal(fitsMountData({ ...mount, lowers: mount.lowers.map(() => LOWER) }), false);
  });

  it("says so when no layer fits, however few there are", () => {
    const mount = { lowers: [LOWER], switches: ALL_SWITCHES, label: "a".repeat(MOUNT_DATA_BYTES_MAX), extra: [] };
    assert.throws(() => overlayMountData(mount), (error) => {
      assert.ok(hasCode(error, "INVALID_ARGUMENT"));
      assert.match(error.message, /Cannot mount any layer with these options: .* use a shorter label/);
      return true;
    });
  });

  it("says how many layers fit when they do not", () => {
    const mount = (count: number, switches: readonly string[]) =>
      overlayMountData({ lowers: Array.from({ length: count }, () => LOWER), switches, extra: [] });
    const error = failure(() => mount(200, []));
    assert.ok(hasCode(error, "MAX_DEPTH"));
    assert.equal(mount(error.detail.depthMax, []).length <= MOUNT_DATA_BYTES_MAX, true);
    assert.throws(() => mount(error.detail.depthMax + 1, []), (other) => hasCode(other, "MAX_DEPTH"));
    assert.match(error.message, new RegExp(`${error.detail.depthMax} layers would fit`));
  });

  it("refuses a label that would end its quotes", () => {
    for (const label of ['a"', "a\\", "a\n", "é"]) {
      const mount = { lowers: ["a"], switches: [], extra: [], label };
      assert.throws(() => overlayMountData(mount), (error) => hasCode(error, "INVALID_ARGUMENT"));
    }
  });
});

function failure(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
