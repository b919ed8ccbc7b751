// SPDX-License-Identifier: Apache-2.0
import { mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { testDriversOn } from "./every_driver.ts";

/**
 * As large file systems have them. An image as small as this one would get blocks of 1 KiB, and no attribute is longer than a
 * block: fuse-overlayfs notes in one which path a directory was copied up from, and fails with ENOSPC where that is longer.
 */
const MKFS = ["-b", "4096"];

testDriversOn({ name: "ext4", needs: needsLoop("ext4"), mount: () => mountLoop("ext4", { mkfs: MKFS }) });
