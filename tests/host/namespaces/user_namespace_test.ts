// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  hasSingleUser,
  inUserNamespace,
  mappedUsers,
  parseIdMap,
} from "../../../src/host/namespaces/user_namespace.ts";
import { FIRST_SUBORDINATE, OrdinaryUser, WITH_SUBORDINATE_IDS, WITH_USER } from "../../support/ordinary_user.ts";

const PROBE = new URL(
  `../../support/namespace_probe.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`,
  import.meta.url,
);
const LOOK = "id -u; mount -t tmpfs x /mnt && echo mounted; awk '{ print $1, $2, $3 }' /proc/self/uid_map";

describe("parseIdMap", () => {
  it("reads what the kernel writes, and nothing else", () => {
    assert.deepEqual(parseIdMap("         0       1000          1\n         1     100000      65536\n"), [
      { inside: 0, outside: 1000, count: 1 },
      { inside: 1, outside: 100000, count: 65536 },
    ]);
    assert.deepEqual(parseIdMap("\n"), []);
  });
});

describe("the namespace of this process", () => {
  it("is the first one when all ids are themselves", () => {
    const all = mappedUsers().every(({ inside, outside }) => inside === outside);
    assert.equal(inUserNamespace(), !all || mappedUsers().length > 1);
    assert.equal(hasSingleUser(), mappedUsers().reduce((sum, { count }) => sum + count, 0) === 1);
  });
});

describe("an ordinary user", WITH_USER, () => {
  it("is root inside, and the only one without subordinate ids", WITH_SUBORDINATE_IDS, async () => {
    using user = new OrdinaryUser();
    assert.match(await user.ok(user.strata("unshare", "sh", "-c", LOOK)), /^0\nmounted\n0 \d+ 1$/);
  });

  it("can give files to subordinate ids", WITH_SUBORDINATE_IDS, async () => {
    using user = new OrdinaryUser("65536");
    const map = `0 \\d+ 1\n1 ${FIRST_SUBORDINATE} 65536`;
    assert.match(await user.ok(user.strata("unshare", "sh", "-c", LOOK)), new RegExp(`^0\nmounted\n${map}$`));
    const owner = "touch f && chown 33:44 f && stat -c %u:%g f";
    assert.equal(await user.ok(user.strata("unshare", "sh", "-c", owner)), "33:44");
  });

  it("knows whether it is in a namespace", async () => {
    using user = new OrdinaryUser();
    const probe = user.script(PROBE);
    assert.match(await user.ok(probe), /^outside/);
    assert.match(await user.ok(user.strata("unshare", ...probe)), /^inside, (many users|one user)$/);
  });
});
