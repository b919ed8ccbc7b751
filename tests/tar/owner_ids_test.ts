// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ID_MAX } from "../../src/core/id_map.ts";
import { OWNER_IDS_MAX } from "../../src/core/limits.ts";
import type { TarEntry } from "../../src/tar/entry.ts";
import { OwnerIds, type OwnerSets } from "../../src/tar/owner_ids.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { archive, base256, paxMember, type RawHeader, rawMember } from "../support/tar_builder.ts";

describe("the owners of an archive's members", () => {
  it("are sorted sets, of all types and in all spellings", () => {
    const bytes = archive(
      rawMember({ name: "d/", type: "5", uid: 1000, gid: 5 }),
      rawMember({ name: "d/f", uid: 33, gid: 33 }, "content"),
      rawMember({ name: "d/l", type: "2", linkName: "f", uid: 9, gid: 33 }),
      rawMember({ name: "d/h", type: "1", linkName: "d/f", uid: 8, gid: 33 }),
      rawMember({ name: "p", type: "6", uid: base256(3_000_000n, 8), gid: 0 }),
      paxMember([["uid", "70000"], ["gid", "80000"]]),
      rawMember({ name: "q", uid: 1, gid: 2 }),
    );
    assert.deepEqual(ownersOf(bytes), {
      uids: [8, 9, 33, 1000, 70_000, 3_000_000],
      gids: [0, 5, 33, 80_000],
    });
  });

  it("are not those of whiteouts and global headers", () => {
    const bytes = archive(
      paxMember([["comment", "x"]], { type: "g", uid: 1, gid: 1 }),
      rawMember({ name: ".wh.a", uid: 2, gid: 2 }),
      rawMember({ name: "d/.wh..wh..opq", uid: 3, gid: 3 }),
      rawMember({ name: "d/.wh.x//", type: "5", uid: 4, gid: 4 }),
      rawMember({ name: "d/.wh", uid: 5, gid: 5 }),
      rawMember({ name: "d/a.wh.b", uid: 6, gid: 6 }),
      rawMember({ name: ".wh..wh.aufs/f", uid: 7, gid: 7 }),
    );
    assert.deepEqual(ownersOf(bytes), { uids: [5, 6, 7], gids: [5, 6, 7] });
    assert.deepEqual(ownersOf(archive()), { uids: [], gids: [] });
  });

  it("are all known, or none", () => {
    const [entry] = entriesOf(archive(rawMember({ gid: 7 })));
    assert(entry !== undefined);
    const owners = new OwnerIds();
    for (let uid = OWNER_IDS_MAX; uid > 0; uid--) owners.add({ ...entry, uid });
    assert.deepEqual(owners.sets().uids, Array.from({ length: OWNER_IDS_MAX }, (_, i) => i + 1));
    owners.add({ ...entry, uid: 0 });
    owners.add({ ...entry, gid: 1 });
    assert.deepEqual(owners.sets(), { gids: [1, 7] });
    for (const uid of [base256(-1n, 8), base256(BigInt(ID_MAX) + 1n, 8)]) {
      assert.deepEqual(ownersOf(archive(rawMember({ uid, gid: 1 }), rawMember({ uid: 5, gid: 1 }))), { gids: [1] });
    }
    assert.deepEqual(ownersOf(archive(rawMember({ uid: base256(BigInt(ID_MAX), 8), gid: 1 }))).uids, [ID_MAX]);
  });

  it("are what a set of each gives", () => {
    const id = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 0o7777777 }));
    const name = fc.constantFrom("f", "./f", "d/f", ".wh.f", "d/.wh.f", "d/.wh..wh..opq", "x.wh.f");
    const header: fc.Arbitrary<RawHeader & { uid: number; gid: number; name: string }> = fc.record({
      name,
      uid: id,
      gid: id,
    });
    fc.assert(fc.property(fc.array(header), (headers) => {
      const counted = headers.filter((h) => !h.name.split("/").at(-1)?.startsWith(".wh."));
      const sorted = (ids: number[]) => [...new Set(ids)].sort((a, b) => a - b);
      assert.deepEqual(ownersOf(archive(...headers.map((h) => rawMember(h)))), {
        uids: sorted(counted.map((h) => h.uid)),
        gids: sorted(counted.map((h) => h.gid)),
      });
    }));
  });
});

function ownersOf(bytes: Uint8Array): OwnerSets {
  const owners = new OwnerIds();
  for (const entry of entriesOf(bytes)) owners.add(entry);
  return owners.sets();
}

function entriesOf(bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  const ignore = () => {};
  const reader = new TarReader({
    entry: (entry) => entries.push(entry),
    segment: ignore,
    data: ignore,
    endEntry: ignore,
    end: ignore,
  });
  reader.push(bytes);
  reader.end();
  return entries;
}
