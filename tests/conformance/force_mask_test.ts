// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { unlessMissing } from "../support/interop.ts";
import { isQuick, runSuite } from "./scratch_driver.ts";
import { FORCE_MASK, whyNoProgram } from "./setups.ts";

runSuite(
  { ...FORCE_MASK, cases: isQuick, runtimes: "deno" },
  unlessMissing(await whyNoProgram(tmpdir())).skip || undefined,
);
