// SPDX-License-Identifier: Apache-2.0
import { tmpdir } from "node:os";
import { unlessMissing } from "../support/interop.ts";
import { isQuick, runSuite } from "./scratch_driver.ts";
import { FUSE_OVERLAYFS, whyNoProgram } from "./setups.ts";

runSuite({ ...FUSE_OVERLAYFS, cases: isQuick }, unlessMissing(await whyNoProgram(tmpdir())).skip || undefined);
