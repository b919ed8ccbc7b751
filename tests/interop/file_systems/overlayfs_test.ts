// SPDX-License-Identifier: Apache-2.0
/**
 * overlay2 on an overlay, as the root directory of a container is one: the kernel takes no upper directory there, and a
 * mount program does.
 *
 * @module
 */
import { test } from "node:test";
import { runSuiteWithin } from "../../conformance/scratch_driver.ts";
import { FUSE_OVERLAYFS, NO_PROGRAM } from "../../conformance/setups.ts";
import { unlessMissing } from "../../support/interop.ts";
import { mountOverlay, whyNoOverlay } from "../../support/overlay_file_system.ts";

test("fuse-overlayfs on overlayfs", unlessMissing(whyNoOverlay() ?? NO_PROGRAM), async (t) => {
  using overlay = mountOverlay();
  await runSuiteWithin(t, {
    ...FUSE_OVERLAYFS,
    dir: overlay.path,
    // Names are hidden by files there, whose names are longer.
    without: ["names of 255 bytes that are not UTF-8 are kept, and hidden by whiteouts"],
  });
});
