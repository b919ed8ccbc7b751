// SPDX-License-Identifier: Apache-2.0
/**
 * The suite once more, as an ordinary user in a user namespace: overlays are mounted with other options there, owners
 * and devices may be lacking, and nothing that root alone may do must be needed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OrdinaryUser, type Subordinates, WITH_SUBORDINATE_IDS, WITH_USER } from "../support/ordinary_user.ts";
import type { InteropOptions } from "../support/interop.ts";
import { ON_DENO } from "./scratch_driver.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const SUITE = new URL(`./overlay2_test.${EXTENSION}`, import.meta.url);
/** Less would mean that the driver was not tried at all. */
const PASSED_MIN = 60;

interface Setup {
  readonly title: string;
  readonly ids: Subordinates;
  /** How the names of the tests begin. Those of "on tmpfs" are not run on Node. */
  readonly tests: string;
  readonly needs: InteropOptions;
}

const SETUPS: readonly Setup[] = [
  { title: "who is the only user there", ids: "none", tests: "overlay2 on tmpfs: ", needs: WITH_USER },
  {
    title: "with subordinate ids",
    ids: "65536",
    tests: "overlay2: ",
    needs: WITH_SUBORDINATE_IDS,
  },
];

describe("overlay2 of an ordinary user", WITH_USER, () => {
  for (const { title, ids, tests, needs } of ON_DENO ? SETUPS : SETUPS.slice(1)) {
    it(`passes the suite in a user namespace, for one ${title}`, needs, async (t) => {
      using user = new OrdinaryUser(ids);
      const { code, stdout, stderr } = await user.run(user.strata("unshare", ...user.test(SUITE, tests)));
      const report = new TextDecoder().decode(stdout);
      assert.equal(code, 0, `${report}${stderr}`);
      const passed = passedIn(report);
      t.diagnostic(`${passed} tests passed`);
      assert.ok(passed >= PASSED_MIN, report);
    });
  }
});

/** Deno ends with `ok | 3 passed | …`, Node's TAP with `# pass 3`. */
function passedIn(report: string): number {
  const [, deno, node] = /^ok \| (\d+) passed|^# pass (\d+)$/m.exec(report) ?? [];
  return Number(deno ?? node ?? 0);
}
