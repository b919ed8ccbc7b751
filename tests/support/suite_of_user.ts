// SPDX-License-Identifier: Apache-2.0
/**
 * The drivers' suite as an ordinary user in a user namespace: overlays are mounted with other options there, owners and
 * devices may be lacking, and nothing that root alone may do must be needed.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { OrdinaryUser, type Subordinates } from "./ordinary_user.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const SUITE = new URL(`../conformance/overlay2_test.${EXTENSION}`, import.meta.url);
/** Less would mean that the driver was not tried at all. */
const PASSED_MIN = 60;

/** Who runs what. */
export interface SuiteOfUser {
  readonly ids: Subordinates;
  /** How the names of the tests begin. */
  readonly tests: string;
  /** The directory on whose file system the user has its files. Absent: the one for temporary files. */
  readonly dir?: string;
}

/**
 * Runs overlay2's tests as an ordinary user.
 * @throws {AssertionError} with the whole report, when one fails
 */
export async function passSuiteAsUser(t: TestContext, { ids, tests, ...options }: SuiteOfUser): Promise<void> {
  using user = new OrdinaryUser(ids, options);
  const { code, stdout, stderr } = await user.run(user.strata("unshare", ...user.test(SUITE, tests)));
  const report = new TextDecoder().decode(stdout);
  assert.equal(code, 0, `${report}${stderr}`);
  const passed = passedIn(report);
  t.diagnostic(`${passed} tests passed`);
  assert.ok(passed >= PASSED_MIN, report);
}

/** Deno ends with `ok | 3 passed | …`, Node's TAP with `# pass 3`. */
function passedIn(report: string): number {
  const [, deno, node] = /^ok \| (\d+) passed|^# pass (\d+)$/m.exec(report) ?? [];
  return Number(deno ?? node ?? 0);
}
