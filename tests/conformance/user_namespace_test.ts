// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import type { InteropOptions } from "../support/interop.ts";
import { WITH_SUBORDINATE_IDS, WITH_USER } from "../support/ordinary_user.ts";
import { passSuiteAsUser, type SuiteOfUser } from "../support/suite_of_user.ts";
import { ON_DENO } from "./scratch_driver.ts";

interface Setup extends SuiteOfUser {
  readonly title: string;
  readonly needs: InteropOptions;
}

const SETUPS: readonly Setup[] = [
  // Those "on tmpfs" are not run on Node.
  { title: "who is the only user there", ids: "none", tests: "overlay2 on tmpfs: ", needs: WITH_USER },
  { title: "with subordinate ids", ids: "65536", tests: "overlay2: ", needs: WITH_SUBORDINATE_IDS },
];

describe("overlay2 of an ordinary user", WITH_USER, () => {
  for (const { title, needs, ...suite } of ON_DENO ? SETUPS : SETUPS.slice(1)) {
    it(`passes the suite in a user namespace, for one ${title}`, needs, (t) => passSuiteAsUser(t, suite));
  }
});
