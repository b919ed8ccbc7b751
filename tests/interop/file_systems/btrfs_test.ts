// SPDX-License-Identifier: Apache-2.0
import { mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { testDriversOn } from "./every_driver.ts";

testDriversOn({ name: "btrfs", needs: needsLoop("btrfs"), mount: () => mountLoop("btrfs") });
