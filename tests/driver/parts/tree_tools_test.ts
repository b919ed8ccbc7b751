// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { chownPathByMaps, hasCode, type IdMappings } from "../../../mod.ts";
import { IS_ROOT } from "../../host/scratch.ts";

const IDENTITY: IdMappings = { uids: [], gids: [] };
const skip = IS_ROOT ? false : "only root may give files away";

/** A container whose root is the host's user 1000. */
function mapped(size: number): IdMappings {
  const map = [{ containerId: 0, hostId: 1000, size }];
  return { uids: map, gids: map };
}

it("chownPathByMaps() skips no name and no id, and keeps links and setuid", { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), "strata-chown-"));
  try {
    for (const name of ["a", "b", "c"]) mkdirSync(join(dir, name));
    writeFileSync(join(dir, "x"), "1");
    // The very id that the container's root is mapped to is an id like any other.
    chownSync(join(dir, "x"), 1000, 1000);
    linkSync(join(dir, "x"), join(dir, "a/y"));
    writeFileSync(join(dir, "s"), "1");
    chmodSync(join(dir, "s"), 0o6755);
    symlinkSync("x", join(dir, "l"));
    lchownSync(join(dir, "l"), 5, 6);
    const owners = () =>
      ["", "a", "b", "c", "x", "a/y", "s", "l"].map((name) => {
        const { uid, gid } = lstatSync(join(dir, name));
        return [uid, gid];
      });
    const before = owners();
    const refused = () => chownPathByMaps(dir, { from: IDENTITY, to: mapped(10) });
    assert.throws(refused, (error) => hasCode(error, "INVALID_ARGUMENT"));
    assert.deepEqual(owners(), before);
    chownPathByMaps(dir, { from: IDENTITY, to: mapped(65536) });
    assert.deepEqual(owners(), before.map((pair) => pair.map((id) => id + 1000)));
    assert.equal(lstatSync(join(dir, "x")).ino, lstatSync(join(dir, "a/y")).ino);
    assert.equal(lstatSync(join(dir, "s")).mode & 0o7777, 0o6755);
    chownPathByMaps(dir, { from: mapped(65536), to: IDENTITY });
    assert.deepEqual(owners(), before);
    chownPathByMaps(dir, { from: IDENTITY, to: mapped(10), unmapped: { uid: 65534, gid: 65534 } });
    assert.deepEqual(owners()[4], [65534, 65534]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
