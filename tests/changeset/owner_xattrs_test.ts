// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { shiftXattr } from "../../src/changeset/owner_xattrs.ts";
import { fromText } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import { containerShift, hostShift, parseIdMap } from "../../src/core/id_map.ts";

const MAPPINGS = { uids: parseIdMap("0:1000:100"), gids: parseIdMap("0:2000:100") };
const TO_HOST = hostShift(MAPPINGS);
const TO_CONTAINER = containerShift(MAPPINGS);
const ACL = fromText("system.posix_acl_access");
const CAPABILITY = fromText("security.capability");

const NOBODY = [0xff, 0xff, 0xff, 0xff];

/** An access control list: the owner, a user, the group, a group, a mask, all others. */
function acl(user: number, group: number): Uint8Array {
  const id = (value: number) => [value & 0xff, (value >> 8) & 0xff, 0, 0];
  const entries = [[1, NOBODY], [2, id(user)], [4, NOBODY], [8, id(group)], [0x10, NOBODY], [0x20, NOBODY]] as const;
  return Uint8Array.from([2, 0, 0, 0, ...entries.flatMap(([tag, id]) => [tag, 0, 7, 0, ...id])]);
}

describe("shiftXattr", () => {
  it("maps the users and groups that an access control list names, and those only", () => {
    assert.deepEqual(shiftXattr(ACL, acl(5, 6), TO_HOST), acl(1005, 2006));
    assert.deepEqual(shiftXattr(fromText("system.posix_acl_default"), acl(1005, 2006), TO_CONTAINER), acl(5, 6));
  });

  it("refuses a list with a user that the maps do not hold", () => {
    assert.throws(() => shiftXattr(ACL, acl(100, 0), TO_HOST), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });

  it("gives file capabilities to the container's root and takes them back, flags kept", () => {
    const plain = Uint8Array.from([1, 0, 0, 2, ...new Array(16).fill(7)]);
    const owned = Uint8Array.from([1, 0, 0, 3, ...new Array(16).fill(7), 0xe8, 3, 0, 0]);
    assert.deepEqual(shiftXattr(CAPABILITY, plain, TO_HOST), owned);
    assert.deepEqual(shiftXattr(CAPABILITY, owned, TO_CONTAINER), plain);
    assert.equal(shiftXattr(CAPABILITY, plain, TO_CONTAINER), plain, "capabilities of the host stay the host's");
  });

  it("leaves alone what is malformed and what names nobody", () => {
    for (const value of [[], [1, 2, 3], [9, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0], new Array(24).fill(0)]) {
      const bytes = Uint8Array.from(value);
      for (const name of [ACL, CAPABILITY, fromText("user.note")]) {
        assert.deepEqual(shiftXattr(name, bytes, TO_HOST), bytes);
      }
    }
  });
});
