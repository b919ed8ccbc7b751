// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { hasCode } from "../../src/core/errors.ts";
import {
  checkIdMappings,
  findContainerId,
  findHostId,
  formatIdMap,
  hostShiftOverflow,
  ID_MAX,
  IDENTITY,
  type IdMap,
  type IdMappings,
  isContiguous,
  isIdentity,
  parseIdMap,
  parseIdMapList,
  rootPair,
  sameIdMappings,
  shiftOwner,
  toContainer,
  toHost,
} from "../../src/core/id_map.ts";

const REMAPPED: IdMappings = { uids: parseIdMap("0:1000:65536"), gids: parseIdMap("0:2000:65536") };

function refuses(act: () => unknown, message: RegExp): void {
  assert.throws(act, (error) => hasCode(error, "INVALID_ARGUMENT") && message.test(error.message));
}

/** Maps whose ranges lie in some order, with and without holes, on both sides apart. */
function maps(): fc.Arbitrary<IdMap[]> {
  const part = fc.record({ gapC: fc.nat(50), gapH: fc.nat(50), size: fc.integer({ min: 1, max: 1000 }) });
  return fc.array(part, { maxLength: 8 }).chain((parts) => {
    let containerId = 0;
    let hostId = 0;
    const map = parts.map(({ gapC, gapH, size }) => {
      const range = { containerId: containerId + gapC, hostId: hostId + gapH, size };
      containerId = range.containerId + size;
      hostId = range.hostId + size;
      return range;
    });
    return fc.shuffledSubarray(map, { minLength: map.length });
  });
}

describe("parseIdMap", () => {
  it("reads one range and several, in one text and in a list", () => {
    const expected = [{ containerId: 0, hostId: 1000, size: 1 }, { containerId: 1, hostId: 100000, size: 65536 }];
    assert.deepEqual(parseIdMap("0:1000:1:1:100000:65536"), expected);
    assert.deepEqual(parseIdMapList(["0:1000:1", "1:100000:65536"]), expected);
    assert.deepEqual(parseIdMapList([]), []);
  });

  it("refuses what is no list of triples", () => {
    for (const text of ["", "0", "0:1", "0:1:2:3", "a:1:2", "-1:0:1", "0:0:1.5", " 0:0:1", "0:0:1\n", "00:0:1", "::"]) {
      refuses(() => parseIdMap(text), /three numbers/);
    }
  });

  it("refuses empty ranges and ids that no file can have", () => {
    refuses(() => parseIdMap("0:0:0"), /is empty/);
    refuses(() => parseIdMap("0:4294967295:1"), /beyond the largest id/);
    refuses(() => parseIdMap("1:0:4294967295"), /beyond the largest id/);
    assert.deepEqual(parseIdMap(`0:0:${ID_MAX + 1}`), [{ containerId: 0, hostId: 0, size: ID_MAX + 1 }]);
  });

  it("refuses ranges that overlap on either side, wherever they stand", () => {
    refuses(() => parseIdMap("0:1000:10:9:2000:10"), /overlap in the container/);
    refuses(() => parseIdMapList(["20:1009:10", "0:1000:10"]), /overlap on the host/);
    assert.equal(parseIdMap("0:1000:10:10:1010:10").length, 2);
  });

  it("refuses plain data that is wrong", () => {
    refuses(() => checkIdMappings({ uids: [{ containerId: 0.5, hostId: 0, size: 1 }], gids: [] }), /whole numbers/);
    refuses(() => checkIdMappings({ uids: [], gids: [{ containerId: 0, hostId: 0, size: NaN }] }), /whole numbers/);
    assert.equal(checkIdMappings(REMAPPED), REMAPPED);
  });

  it("reads what it writes", () => {
    fc.assert(fc.property(maps(), (map) => {
      if (map.length > 0) assert.deepEqual(parseIdMap(formatIdMap(map)), map);
    }));
  });
});

describe("mapping", () => {
  it("leaves ids alone without ranges", () => {
    assert.ok(isIdentity(IDENTITY));
    assert.ok(!isIdentity(REMAPPED));
    assert.deepEqual(toHost(IDENTITY, { uid: 7, gid: ID_MAX }), { uid: 7, gid: ID_MAX });
    assert.deepEqual(toContainer({ ...REMAPPED, uids: [] }, { uid: 7, gid: 2000 }), { uid: 7, gid: 0 });
  });

  it("maps an id that equals the host id of the container's root like any other", () => {
    assert.deepEqual(toHost(REMAPPED, { uid: 1000, gid: 2000 }), { uid: 2000, gid: 4000 });
    assert.deepEqual(toContainer(REMAPPED, { uid: 2000, gid: 4000 }), { uid: 1000, gid: 2000 });
  });

  it("refuses what no range holds, and says so", () => {
    refuses(() => toHost(REMAPPED, { uid: 65536, gid: 0 }), /container user 65536: .* 0:1000:65536/);
    refuses(() => toHost(REMAPPED, { uid: 0, gid: 70000 }), /container group 70000/);
    refuses(() => toContainer(REMAPPED, { uid: 999, gid: 2000 }), /host user 999/);
    refuses(() => toContainer(REMAPPED, { uid: 1000, gid: 0 }), /host group 0/);
  });

  it("puts the overflow ids in place of what no range holds, each by itself", () => {
    const overflow = { uid: 65534, gid: 65533 };
    const shift = hostShiftOverflow(REMAPPED, overflow);
    assert.deepEqual(shiftOwner(shift, { uid: 1000, gid: 70000 }), { uid: 2000, gid: 65533 });
    assert.deepEqual(shiftOwner(shift, { uid: 70000, gid: 0 }), { uid: 65534, gid: 2000 });
  });

  it("leads back to where it came from", () => {
    fc.assert(fc.property(maps(), fc.nat(10_000), (map, id) => {
      const hostId = findHostId(map, id);
      if (hostId !== undefined) assert.equal(findContainerId(map, hostId), id);
      const containerId = findContainerId(map, id);
      if (containerId !== undefined) assert.equal(findHostId(map, containerId), id);
      if (map.length === 0) assert.deepEqual([hostId, containerId], [id, id]);
    }));
  });
});

describe("rootPair", () => {
  it("is what 0 is mapped to", () => {
    assert.deepEqual(rootPair(REMAPPED), { uid: 1000, gid: 2000 });
    assert.deepEqual(rootPair(IDENTITY), { uid: 0, gid: 0 });
  });

  it("is the only id there is", () => {
    const squashed = { uids: parseIdMap("1000:5000:1"), gids: parseIdMap("0:1:2") };
    assert.deepEqual(rootPair(squashed), { uid: 5000, gid: 1 });
  });

  it("does not exist in maps without 0", () => {
    refuses(() => rootPair({ uids: parseIdMap("1:1:2"), gids: [] }), /container user 0/);
    refuses(() => rootPair({ uids: [], gids: parseIdMap("1:1:2") }), /container group 0/);
  });
});

describe("isContiguous", () => {
  it("takes ranges in any order", () => {
    assert.ok(isContiguous(IDENTITY));
    assert.ok(isContiguous({ uids: parseIdMap("1:101:5:0:100:1"), gids: parseIdMap("0:5:1") }));
  });

  it("sees holes and crossed ranges on either side", () => {
    assert.ok(!isContiguous({ uids: parseIdMap("0:100:1:2:101:1"), gids: [] }));
    assert.ok(!isContiguous({ uids: [], gids: parseIdMap("0:100:1:1:102:1") }));
    assert.ok(!isContiguous({ uids: parseIdMap("0:101:1:1:100:1"), gids: [] }));
  });
});

it("sameIdMappings compares range by range", () => {
  assert.ok(sameIdMappings(REMAPPED, { uids: parseIdMap("0:1000:65536"), gids: parseIdMap("0:2000:65536") }));
  assert.ok(!sameIdMappings(REMAPPED, { ...REMAPPED, gids: [] }));
});
