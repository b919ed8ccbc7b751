// SPDX-License-Identifier: Apache-2.0
import { mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { testDriversOn } from "./every_driver.ts";

testDriversOn({ name: "ext4", needs: needsLoop("ext4"), mount: () => mountLoop("ext4") });
