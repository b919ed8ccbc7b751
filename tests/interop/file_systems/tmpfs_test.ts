// SPDX-License-Identifier: Apache-2.0
import process from "node:process";
import { unlessMissing } from "../../support/interop.ts";
import { dirInMemory, MEMORY, whyNoTmpfs } from "../../support/memory_file_system.ts";
import { testDriversOn } from "./every_driver.ts";

const reason = process.geteuid?.() === 0 ? whyNoTmpfs(MEMORY) : "mounting overlays needs root";

testDriversOn({ name: "tmpfs", needs: unlessMissing(reason), mount: dirInMemory });
