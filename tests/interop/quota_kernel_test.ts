// SPDX-License-Identifier: Apache-2.0
/**
 * The quota tests in a kernel that has quotas: User Mode Linux, as Debian's `user-mode-linux` brings it, is an ordinary
 * process and runs this machine's own files. It is only used where it is installed.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { whyNoLoop } from "../support/loop_file_system.ts";

const KERNEL = "linux.uml";
const TIMEOUT_MS = 300_000;
const TESTS = ["host/quota/quota_test", "driver/parts/quota_drivers_test"];
const MODULES = ["fs/quota/quota_tree", "fs/quota/quota_v2", "drivers/block/loop", "fs/overlayfs/overlay"];

describe("quotas in a kernel that has them", { skip: whyNot() ?? false }, () => {
  it("hold on xfs and ext4, by handle and by device, in overlay2 and vfs", () => {
    const work = mkdtempSync(join(tmpdir(), "strata-uml-"));
    try {
      mkdirSync(join(work, "tmp"));
      const init = join(work, "init");
      writeFileSync(init, initScript(join(work, "tmp")));
      chmodSync(init, 0o755);
      const output = boot(init, work);
      assert.match(output, /^EXIT=0\r?$/m, output.slice(-4000));
      assert.doesNotMatch(output, /\bignored \(|# SKIP/, "all of them ran");
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
});

function whyNot(): string | undefined {
  for (const program of [KERNEL, "insmod", "setpriv"]) {
    if (spawnSync(program, ["--version"]).error !== undefined) return `not installed: ${program}`;
  }
  return whyNoLoop("xfs");
}

/** The first process: what it mounts is the guest's own, and its files are this machine's. */
function initScript(tmp: string): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const files = TESTS.map((name) => quoted(join(here, "..", `${name}${extname(import.meta.url)}`)));
  const run = process.versions["deno"] === undefined ? ["--test"] : ["test", "-A", "--no-check"];
  return `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o size=3g tmp ${quoted(tmp)}
mkdir ${quoted(`${tmp}/run`)} && mount --bind ${quoted(`${tmp}/run`)} /run
export PATH=${quoted(process.env["PATH"] ?? "")} HOME=${quoted(process.env["HOME"] ?? "/root")}
export TMPDIR=${quoted(tmp)} NO_COLOR=1
for module in ${MODULES.join(" ")}; do insmod /usr/lib/uml/modules/$(uname -r)/kernel/$module.ko; done
cd ${quoted(process.cwd())}
${[quoted(process.execPath), ...run, ...files].join(" ")}
echo "EXIT=$?"
echo o > /proc/sysrq-trigger
sleep 10
`;
}

function boot(init: string, work: string): string {
  const root = ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", `init=${init}`];
  const consoles = ["con=null", "con0=null,fd:1", "con1=null", `uml_dir=${work}`];
  const { stdout, stderr } = spawnSync(KERNEL, ["mem=4G", "quiet", ...root, ...consoles], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  return stdout + stderr;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
