// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { probeOverlay, switchesFor, traitRows } from "../../../../src/driver/overlay/mounting/probe.ts";
import { byKernel, type OverlayTraits, tryOverlay } from "../../../../src/driver/overlay/mounting/trial.ts";
import { currentMarks } from "../../../../src/driver/overlay/whiteouts.ts";
import { mountsBelow } from "../../../../src/host/mount_table.ts";

const skip = await probeOverlay(tmpdir()) ?? false;

describe("tryOverlay()", { skip }, () => {
  it("finds that the driver's switches keep layers plain", async () => {
    const traits = await traitsWith(await switchesFor(tmpdir()));
    assert.deepEqual([traits.directoryTypes, traits.metacopy, traits.nativeDiffRefusal], ["yes", "no", undefined]);
  });

  const skipMarks = currentMarks() === "user" ? "user attributes allow neither redirects nor metacopy" : false;

  it("sees redirects", { skip: skipMarks }, async () => {
    const { nativeDiffRefusal, metacopy } = await traitsWith(["index=off", "redirect_dir=on", "metacopy=off"]);
    assert.match(nativeDiffRefusal ?? "", /redirect/);
    assert.equal(metacopy, "no");
  });

  it("sees files that are copied up without content", { skip: skipMarks }, async () => {
    assert.equal((await traitsWith(["index=off", "redirect_dir=on", "metacopy=on"])).metacopy, "yes");
  });
});

describe("traitRows()", { skip }, () => {
  it("tells what was found, and how changes are", () => {
    const rows = (options: { diffs?: "naive" }) => Object.fromEntries(traitRows(tmpdir(), options));
    assert.match(rows({})["Supports volatile"] ?? "", /^(true|false)$/);
    assert.equal(rows({})["Supports d_type"], "true");
    assert.equal(rows({})["Native Overlay Diff"], "true");
    assert.equal(rows({ diffs: "naive" })["Native Overlay Diff"], "false");
    assert.equal(rows({})["userxattr"], String(currentMarks() === "user"));
  });

  it("claims nothing about a file system on which nothing was tried", () => {
    assert.equal(new Map(traitRows("/proc", {})).get("Native Overlay Diff"), "unknown");
  });
});

async function traitsWith(switches: readonly string[]): Promise<OverlayTraits> {
  const dir = mkdtempSync(join(tmpdir(), "strata-"));
  try {
    const traits = await tryOverlay({ dir, marks: currentMarks(), mounter: "kernel", mountBy: byKernel(switches) });
    assert.notEqual(typeof traits, "string", String(traits));
    assert.deepEqual(mountsBelow(dir), []);
    return traits as OverlayTraits;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
