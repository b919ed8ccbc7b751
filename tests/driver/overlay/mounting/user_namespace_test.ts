// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { IS_ROOT } from "../../../host/scratch.ts";
import { runtime } from "../../../support/child.ts";
import { unlessMissing } from "../../../support/interop.ts";
import type { NamespaceReport } from "../../../support/namespace_child.ts";

const NEW_USERS = ["unshare", "--user", "--map-root-user"];

const BASE_NAMES = ["emptied", "gone", "kept"];
const WITH_ROOT = { skip: IS_ROOT ? false : "mounting needs root" };

const canEnter = spawnSync("unshare", [...NEW_USERS.slice(1), "--mount", "true"]).status === 0;
const options = unlessMissing(canEnter ? undefined : "user namespaces cannot be entered here");

describe("OverlayDriver in a user namespace", options, () => {
  it("keeps its marks as user attributes, and mounts with them", () => {
    const report = reportFrom([...NEW_USERS, "--mount"]);
    assert.equal(report.refusal, undefined);
    assert.equal(report.mounts, "yes");
    assert.deepEqual(report.marks, ["user.overlay.opaque"]);
    assert.ok(report.superOptions.includes("userxattr"), report.superOptions.join());
    assert.deepEqual(report.names, ["emptied", "kept", "old"]);
    assert.deepEqual(report.baseNames, BASE_NAMES);
    assert.deepEqual(report.changes, ["C /", "C /emptied", "A /emptied/new", "C /kept", "C /kept/old"]);
    const { userxattr, "Native Overlay Diff": native, "Using metacopy": metacopy } = report.status;
    assert.deepEqual({ userxattr, native, metacopy }, { userxattr: "true", native: "true", metacopy: "false" });
  });

  it("mounts base layers read-only from file systems whose flags it may not change", WITH_ROOT, () => {
    const { baseNames } = reportFrom([...NEW_USERS, "--mount"], { flags: "nosuid,nodev,noexec" });
    assert.deepEqual(baseNames, BASE_NAMES);
  });

  it("says that it cannot mount where the mounts belong to somebody outside", () => {
    const report = reportFrom(NEW_USERS);
    assert.equal(report.mounts, "no");
    assert.match(report.refusal ?? "", /user namespace/);
    assert.equal(report.status["Supports volatile"], "unknown");
  });
});

/** @param flags those of a file system that is mounted for the store */
function reportFrom(
  [program = "", ...args]: readonly string[],
  { flags }: { readonly flags?: string } = {},
): NamespaceReport {
  const root = mkdtempSync(join(tmpdir(), "strata-"));
  if (flags !== undefined) spawnSync("mount", ["-t", "tmpfs", "-o", flags, "strata-test", root]);
  try {
    const { stdout, stderr } = spawnSync(program, [...args, ...runtime("namespace_child"), root], { encoding: "utf8" });
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout);
  } finally {
    if (flags !== undefined) spawnSync("umount", ["-l", root]);
    rmSync(root, { recursive: true, force: true });
  }
}
