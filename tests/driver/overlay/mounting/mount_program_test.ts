// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import process from "node:process";
import { describe, it } from "node:test";
import { hasCode, isStrataError } from "../../../../src/core/errors.ts";
import { type CacheId, randomCacheId } from "../../../../src/core/ids.ts";
import { openDriver } from "../../../../src/driver/registry.ts";
import { stackOf as stackIn } from "../../../../src/driver/driver.ts";
import {
  findMountProgram,
  mountByProgram,
  programMountData,
} from "../../../../src/driver/overlay/mounting/mount_program.ts";
import { parseOverlayOptions } from "../../../../src/driver/overlay/options.ts";
import { probeOverlay } from "../../../../src/driver/overlay/mounting/probe.ts";
import { mountAt } from "../../../../src/host/mount_table.ts";
import { processesRunning } from "../../../../src/host/process_list.ts";
import { RootedDir } from "../../../../src/host/rooted_dir.ts";
import { at, changeLines, listingAt, put, stackOf, topId } from "../../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../../src/testing/driver_suite.ts";
import { dir, file, opaque, whiteout } from "../../../../src/testing/layer_builder.ts";
import { listingOf } from "../../../../src/testing/tree_listing.ts";
import { type Setup, withScratchDriver } from "../../../conformance/scratch_driver.ts";
import { scratch } from "../../../host/scratch.ts";
import { unlessMissing } from "../../../support/interop.ts";

const program = findMountProgram();
const reason = program === undefined ? "fuse-overlayfs cannot be run here" : await probeOverlay(tmpdir(), program);
const needsProgram = unlessMissing(reason);
const needsBoth = unlessMissing(reason ?? await probeOverlay(tmpdir()));

describe("mountByProgram()", () => {
  it("tells what a program said that failed", async () => {
    await assertFails("echo first >&2; echo second >&2; exit 3", /ended with code 3: first; second$/);
  });

  it("tells that a program mounted nothing", async () => {
    await assertFails("echo no idea >&2", /mounted nothing: no idea$/, { timeoutMs: 300 });
  });

  it("kills a program that hangs", async () => {
    await assertFails("exec sleep 60", /did not end within 300 ms/, { timeoutMs: 300 });
  });

  it("stops at the signal", async () => {
    using place = scratch();
    const request = { ...scriptIn(place.path, "exec sleep 60"), signal: AbortSignal.timeout(100) };
    await assert.rejects(mountByProgram(request), (error) => hasCode(error, "ABORTED"));
  });

  it("unmounts what a program mounted before it failed", needsProgram, async () => {
    using place = scratch();
    mkdirSync(`${place.path}/lower`);
    const request = scriptIn(place.path, `${program} -o lowerdir=lower target; echo late >&2; exit 1`);
    await assert.rejects(mountByProgram(request), /late/);
    assert.equal(mountAt(`${place.path}/target`), undefined);
  });
});

describe("the option mount_program", () => {
  it("is read under each of its names, and may be empty", () => {
    for (const name of ["overlay2.mount_program", "overlay.mount_program", ".mount_program"]) {
      assert.equal(parseOverlayOptions({ [name]: "/bin/sh" }).mountProgram, "/bin/sh");
      assert.equal(parseOverlayOptions({ [name]: "" }).mountProgram, undefined);
    }
  });

  it("must name a program that may be run", () => {
    using place = scratch();
    writeFileSync(`${place.path}/text`, "#!/bin/sh\n", { mode: 0o644 });
    for (const path of [`${place.path}/text`, `${place.path}/none`, place.path, "fuse-overlayfs"]) {
      assert.throws(
        () => parseOverlayOptions({ "overlay2.mount_program": path }),
        (error) => hasCode(error, "INVALID_ARGUMENT") && error.message.includes(path),
      );
    }
  });

  it("gives options as the program reads them", () => {
    const overlay = { lowers: ["l/A", "l/B"], upper: { diff: "x/diff", work: "x/work" }, extra: ["squash_to_uid=7"] };
    assert.equal(
      programMountData({ ...overlay, label: "u:r:t:s0:c1,c2" }),
      'lowerdir=l/A:l/B,upperdir=x/diff,workdir=x/work,squash_to_uid=7,context="u:r:t:s0:c1\\,c2"',
    );
    assert.throws(() => programMountData({ ...overlay, label: 'a"b' }), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});

describe("a home that is mounted by a program", needsProgram, () => {
  it("says so, and leaves nothing of a mount that failed", async () => {
    await withProgram(({ driver }) => {
      assert.ok(driver.status().some(([name, value]) => name === "Mount Program" && value === program));
    });
    using place = scratch();
    const { program: failing } = scriptIn(place.path, "echo sorry >&2; exit 1");
    await withScratchDriver({ ...PROGRAM, options: { "overlay2.mount_program": failing } }, async (context) => {
      const top = topId(await stackOf(context, [[file("a", "1")]]));
      await assert.rejects(context.driver.get(top), (error) => isStrataError(error) && /sorry/.test(error.message));
      assert.equal(readdirSync(context.driver.locate(top).dir).includes("merged"), false);
    });
  });

  it("mounts base layers and stacks for reading, and passes options on", async () => {
    await withProgram(async (context) => {
      const [top, base] = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
      for (const layer of [top!, base!]) {
        const path = await context.driver.get(layer.cacheId, {
          access: "read-only",
          mountOptions: ["squash_to_uid=7"],
        });
        assert.match(mountAt(path)?.fsType ?? "", /^fuse/);
        using tree = RootedDir.open(path);
        // In a user namespace it may be one without a name.
        assert.notEqual(tree.stat(at("a"))?.uid, 0, "squash_to_uid has no effect");
        await context.driver.put(layer.cacheId);
        assert.equal(mountAt(path), undefined);
      }
    });
  });

  it("shows the layers that were sealed, and the kernel shows what the program wrote", needsBoth, async () => {
    await withProgram(async (context) => {
      const { driver } = context;
      const below = [dir("d"), file("d/x", "1"), dir("e"), file("e/y", "2"), file("f", "3"), file("g", "4")];
      const stack = await stackOf(context, [below, [whiteout("d/x"), dir("e"), opaque("e"), file("e/z", "5")]]);
      const kernel = openDriver({ ...driver.spec, options: {} });
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack));
      writeIn(await driver.get(id));
      const expected = ["C /", "C /d", "A /d/new", "C /e", "A /e/fresh", "D /e/z", "D /f", "C /g", "A /g/deep"];
      assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), expected, "while it is mounted");
      const merged = listingAt(`${driver.locate(id).dir}/merged`);
      await driver.put(id);

      using view = await kernel.view(await stackIn(kernel, id));
      assert.deepEqual(listingOf(view), merged, "the view differs from the program's mount");
      assert.ok(
        existsSync(`${driver.locate(id).dir}/diff/e/.wh..wh..opq`),
        "the program writes no such marks any more",
      );
      const path = await kernel.get(id);
      assert.equal(mountAt(path)?.fsType, "overlay");
      assert.deepEqual(listingAt(path), merged, "the kernel's mount differs from the program's");
      await kernel.put(id);
      assert.deepEqual(changeLines(await kernel.changes(id, topId(stack))), expected);
      assert.deepEqual(listingAt(await driver.get(id)), merged, "the program's second mount differs");
      await driver.put(id);
    });
  });

  it("reads marks that are files, where no devices can be made", async () => {
    await withProgram(async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, [[dir("d"), file("d/x", "1"), file("f", "2"), dir("e"), file("e/y", "3")]]);
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack));
      await driver.get(id);
      await driver.put(id);
      using diff = RootedDir.open(`${driver.locate(id).dir}/diff`);
      for (const name of ["d", "e"]) diff.mkdir(at(name), 0o755);
      for (const name of [".wh.f", "d/.wh.x", "e/.wh..wh..opq"]) diff.create(at(name), 0o600).close();
      const lines = changeLines(await driver.changes(id, topId(stack)));
      for (const line of ["D /d/x", "D /e/y", "D /f"]) assert.ok(lines.includes(line), `${line} in ${lines}`);
      const path = await driver.get(id);
      assert.deepEqual(readdirSync(path).sort(), ["d", "e"]);
      await driver.put(id);
    });
  });

  it("mounts a layer again whose program was killed", needsProgram, async () => {
    await withProgram(async (context) => {
      const { driver } = context;
      const id = randomCacheId();
      const top = topId(await stackOf(context, [[file("a", "1")]]));
      await driver.createReadWrite(id, top);
      const path = await driver.get(id);
      writeFileSync(`${path}/b`, "2");
      await killProgram(id, path);
      await assert.rejects(
        async () => await driver.changes(id, top),
        (error) => hasCode(error, "IO") && /has ended .*; unmount it and mount it again; .* lost/.test(error.message),
      );
      await driver.put(id);
      assert.equal(mountAt(path), undefined, "it can be unmounted");
      assert.equal(await driver.get(id), path);
      assert.deepEqual(readdirSync(path).sort(), ["a", "b"]);
      assert.deepEqual(changeLines(await driver.changes(id, top)), ["C /", "A /b"]);
      await driver.put(id);
      assert.equal(mountAt(path), undefined);
    });
  });

  it("refuses to write below a path that the program would split", async () => {
    await withScratchDriver({ ...PROGRAM, label: ",a:b" }, async (context) => {
      const id = randomCacheId();
      const top = topId(await stackOf(context, [[file("a", "1")]]));
      await context.driver.createReadWrite(id, top);
      await assert.rejects(
        context.driver.get(id),
        (error) => hasCode(error, "NOT_SUPPORTED") && /":"/.test(error.message),
      );
      assert.deepEqual(readdirSync(await context.driver.get(top)), ["a"]);
      await context.driver.put(top);
    });
  });
});

const PROGRAM: Setup = {
  name: "mount program",
  driver: "overlay2",
  options: { "overlay2.mount_program": program ?? "" },
  label: ",a",
};

async function withProgram(use: (context: DriverContext) => Promise<void> | void): Promise<void> {
  await withScratchDriver(PROGRAM, use);
}

/** Kills the program that serves a layer, and waits until the mount tells. */
async function killProgram(id: CacheId, path: string): Promise<void> {
  const server = processesRunning("fuse-overlayfs").find(({ args }) => args.includes(`${id}/merged`));
  process.kill(server!.pid, "SIGKILL");
  await assert.rejects(async () => {
    for (;;) await stat(path);
  }, { code: /^(ENOTCONN|ECONNABORTED)$/ });
}

/** Every kind of mark: a name hidden, a directory replaced, a file's place taken by a directory. */
function writeIn(path: string): void {
  using tree = RootedDir.open(path);
  put(tree, "d/new", "6");
  tree.removeTree(at("e"));
  tree.mkdir(at("e"), 0o755);
  put(tree, "e/fresh", "7");
  tree.unlink(at("f"));
  tree.unlink(at("g"));
  tree.mkdir(at("g"), 0o755);
  tree.mkdir(at("g/deep"), 0o700);
}

/** A program that is a script, run in a directory that has a place for its mount. */
function scriptIn(cwd: string, script: string) {
  const path = `${cwd}/program`;
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  mkdirSync(`${cwd}/target`, { recursive: true });
  return { program: path, cwd, target: "target", options: "lowerdir=lower" };
}

async function assertFails(script: string, message: RegExp, options: { timeoutMs?: number } = {}): Promise<void> {
  using place = scratch();
  await assert.rejects(
    mountByProgram({ ...scriptIn(place.path, script), ...options }),
    (error) => hasCode(error, "IO") && message.test(error.message),
  );
  assert.equal(mountAt(`${place.path}/target`), undefined);
}
