// SPDX-License-Identifier: Apache-2.0
import { runSuite } from "./scratch_driver.ts";

runSuite("vfs", undefined);
