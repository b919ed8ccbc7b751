// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { parseIdMap } from "../../../src/core/id_map.ts";
import { mountIdMapped, openUserNamespace } from "../../../src/host/namespaces/idmapped_mount.ts";
import { overflowOwner } from "../../../src/host/process.ts";
import { IS_ROOT, scratch } from "../scratch.ts";

const skip = IS_ROOT ? false : "only root may mount";
const MAPPINGS = { uids: parseIdMap("0:1000:10:10:5000:10"), gids: parseIdMap("0:2000:100") };

/** Why the scratch directory's file system cannot be mounted so. */
async function unmappable(): Promise<string | false> {
  if (!IS_ROOT) return skip;
  using dir = scratch();
  for (const name of ["from", "to"]) mkdirSync(`${dir.path}/${name}`);
  try {
    using namespace = await openUserNamespace(MAPPINGS);
    mountIdMapped({ source: `${dir.path}/from`, target: `${dir.path}/to`, namespace, access: "writable" });
    spawnSync("umount", [`${dir.path}/to`]);
    return false;
  } catch (error) {
    return String(error);
  }
}

const mountSkip = await unmappable();

describe("mountIdMapped", { skip: mountSkip }, () => {
  it("shows owners mapped, those without a counterpart as the overflow owner, and leaves the disk alone", async () => {
    using dir = scratch();
    for (const name of ["from", "to"]) mkdirSync(`${dir.path}/${name}`);
    for (const id of [0, 3, 12, 200]) {
      writeFileSync(`${dir.path}/from/${id}`, "");
      chownSync(`${dir.path}/from/${id}`, id, id);
    }
    using namespace = await openUserNamespace(MAPPINGS);
    mountIdMapped({ source: `${dir.path}/from`, target: `${dir.path}/to`, namespace, access: "read-only" });
    try {
      const shown = [0, 3, 12, 200].map((id) => statSync(`${dir.path}/to/${id}`)).map(({ uid, gid }) => [uid, gid]);
      const overflow = overflowOwner();
      assert.deepEqual(shown, [[1000, 2000], [1003, 2003], [5002, 2012], [overflow.uid, overflow.gid]]);
      assert.throws(() => writeFileSync(`${dir.path}/to/new`, ""), { code: "EROFS" });
    } finally {
      spawnSync("umount", [`${dir.path}/to`]);
    }
    assert.equal(statSync(`${dir.path}/from/12`).uid, 12);
  });

  it("writes what the mapped root makes as root's", async () => {
    using dir = scratch();
    chmodSync(dir.path, 0o711);
    for (const name of ["from", "to"]) mkdirSync(`${dir.path}/${name}`);
    using namespace = await openUserNamespace({ ...MAPPINGS, gids: [] });
    mountIdMapped({ source: `${dir.path}/from`, target: `${dir.path}/to`, namespace, access: "writable" });
    try {
      const made = spawnSync("touch", [`${dir.path}/to/new`], { uid: 1000, gid: 0 });
      assert.equal(made.status, 0, String(made.stderr));
    } finally {
      spawnSync("umount", [`${dir.path}/to`]);
    }
    assert.equal(statSync(`${dir.path}/from/new`).uid, 0);
  });
});

it("openUserNamespace refuses maps that the kernel does not take", { skip }, async () => {
  const overlapping = {
    uids: [{ containerId: 0, hostId: 5, size: 2 }, { containerId: 1, hostId: 9, size: 2 }],
    gids: [],
  };
  await assert.rejects(openUserNamespace(overlapping), (error) => hasCode(error, "NOT_SUPPORTED"));
});

it("openUserNamespace leaves no handle open, whether it succeeds or not", { skip }, async () => {
  const openHandles = (): number => readdirSync("/proc/self/fd").length;
  const refused = { ...MAPPINGS, uids: [...MAPPINGS.uids, ...MAPPINGS.uids] };
  (await openUserNamespace(MAPPINGS))[Symbol.dispose]();
  const before = openHandles();
  for (let i = 0; i < 5; i++) {
    (await openUserNamespace(MAPPINGS))[Symbol.dispose]();
    await assert.rejects(openUserNamespace(refused));
  }
  assert.ok(openHandles() < before + 5, `${openHandles()} handles, ${before} before`);
});
