// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { OrdinaryUser, WITH_USER } from "../support/ordinary_user.ts";

const SCRIPT = new URL(`../../scripts/demo.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
const RUNTIME = "deno" in process.versions ? ["run", "-A"] : [];

test("the demo gives every layer back, and leaves nothing behind", () => {
  const scratch = mkdtempSync(join(tmpdir(), "strata-demo-test-"));
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...RUNTIME, fileURLToPath(SCRIPT)], {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: scratch },
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /^Driver (overlay2|vfs): /);
    assert.match(stdout, /^change {5}D \/CHANGELOG.md, C \/LICENSE, C \/README.md, A \/hello.link, A \/hello.txt$/m);
    assert.equal(stdout.match(/ the same$/gm)?.length, 3);
    assert.match(stdout, /^3 of 3 layers came back byte for byte/m);
    assert.deepEqual(readdirSync(scratch), []);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

test("the demo of an ordinary user mounts overlays in a user namespace", WITH_USER, async () => {
  using user = new OrdinaryUser();
  const stdout = await user.ok(user.script(SCRIPT));
  assert.match(stdout, /^Driver overlay2: .* in a user namespace/);
  assert.match(stdout, /^3 of 3 layers came back byte for byte/m);
  assert.deepEqual(readdirSync(user.home), []);
});
