// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import {
  chooseDriver,
  DRIVER_NAMES,
  type DriverFactory,
  loadDriver,
  openDriver,
  parseDriverOptions,
  registerDriver,
} from "../../src/driver/registry.ts";
import { findMountProgram } from "../../src/driver/overlay/mounting/mount_program.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { VFS_FACTORY } from "../../src/driver/vfs/vfs_driver.ts";

describe("chooseDriver()", () => {
  it("takes the driver that is asked for", async () => {
    await withRoot([], async (root) => {
      const spec = await chooseDriver({ root, requested: "vfs" });
      assert.deepEqual(spec, { name: "vfs", home: join(root, "vfs"), options: {} });
    });
  });

  it("takes the best that works for an empty root", async () => {
    await withRoot(["overlay2/", "vfs/"], async (root) => {
      const best = await probeOverlay(root) === undefined ? "overlay2" : "vfs";
      assert.equal((await chooseDriver({ root })).name, best);
    });
  });

  it("takes the driver whose layers the root holds", async () => {
    await withRoot(["vfs/dir/x/f"], async (root) => assert.equal((await chooseDriver({ root })).name, "vfs"));
  });

  it("does not count vfs beside another driver", async () => {
    await withRoot(["vfs/dir/x/f", "overlay2/l/X"], async (root) => {
      if (await probeOverlay(root) === undefined) assert.equal((await chooseDriver({ root })).name, "overlay2");
      else await assert.rejects(chooseDriver({ root }), (error) => hasCode(error, "NOT_SUPPORTED"));
    });
  });

  it("refuses to guess among several", async () => {
    await withRoot(["overlay2/l/X", "btrfs/subvolumes/x"], async (root) => {
      await assert.rejects(chooseDriver({ root }), (error) => {
        return hasCode(error, "AMBIGUOUS") && error.detail.candidates.join() === "overlay2,btrfs";
      });
    });
  });

  it("does not begin anew beside a driver that it has not", async () => {
    await withRoot(["zfs/graph/x"], async (root) => {
      await assert.rejects(chooseDriver({ root }), (error) => hasCode(error, "NOT_SUPPORTED"));
    });
  });

  it("takes overlay2 by its program for fuse-overlayfs, but not beside layers that Docker's driver made", async () => {
    const requested = "fuse-overlayfs";
    const program = findMountProgram();
    await withRoot(["overlay2/l/X"], async (root) => {
      const spec = { name: "overlay2", home: join(root, "overlay2") };
      const reading = await chooseDriver({ root, requested, access: "read-only" });
      assert.deepEqual(reading, { ...spec, options: {} });
      if (program === undefined || await probeOverlay(root, program) !== undefined) {
        return await assert.rejects(chooseDriver({ root, requested }), (error) => hasCode(error, "NOT_SUPPORTED"));
      }
      const options = { "overlay2.mount_program": program };
      assert.deepEqual(await chooseDriver({ root, requested }), { ...spec, options });
    });
    await withRoot(["fuse-overlayfs/l/X"], async (root) => {
      await assert.rejects(chooseDriver({ root, requested }), /Docker's layers, which are not read/);
    });
  });

  for (const name of ["aufs", "btrfs", "nonsense", "__proto__"]) {
    it(`refuses "${name}", and names those there are`, async () => {
      await withRoot([], async (root) => {
        await assert.rejects(chooseDriver({ root, requested: name }), /use one of overlay2, vfs/);
      });
    });
  }
});

describe("openDriver()", () => {
  it("refuses options that the driver does not have", async () => {
    await withRoot([], (root) => {
      const spec = { name: "vfs", home: join(root, "vfs"), options: { colour: "red" } };
      assert.throws(() => openDriver(spec), (error) => hasCode(error, "INVALID_ARGUMENT"));
    });
  });
});

describe("registerDriver()", () => {
  it("adds a driver, once", async () => {
    const factory: DriverFactory = { ...VFS_FACTORY, probe: () => Promise.resolve("it is a test") };
    registerDriver("test", factory);
    assert.throws(() => registerDriver("test", factory), (error) => hasCode(error, "CONFLICT"));
    await withRoot([], async (root) => {
      await assert.rejects(chooseDriver({ root, requested: "test" }), /Cannot use driver "test": it is a test/);
      assert.equal(openDriver({ name: "test", home: join(root, "test"), options: {} }).spec.name, "test");
    });
  });

  it("refuses a module's relative path, which threads would look for elsewhere", () => {
    for (const module of ["./driver.ts", "../driver.ts"]) {
      assert.throws(() => registerDriver("relative", VFS_FACTORY, { module }), (error) => {
        return hasCode(error, "INVALID_ARGUMENT") && error.detail.argument === "module";
      });
    }
    assert.throws(() => openDriver({ name: "relative", home: "/nowhere", options: {} }), /unknown/);
  });

  it("refuses the names of this package's drivers and of Docker's", () => {
    for (const name of [...DRIVER_NAMES, "btrfs"]) {
      assert.throws(() => registerDriver(name, VFS_FACTORY), (error) => hasCode(error, "CONFLICT"));
    }
  });
});

describe("a refused driver", () => {
  for (
    const [lacking, refusal] of [
      ["prerequisites", "it is a test"],
      ["file system", { reason: "it is a test", lacking: "file system" }],
    ] as const
  ) {
    it(`tells that it lacks ${lacking}`, async () => {
      const name = `lacks-${lacking.slice(0, 4)}`;
      registerDriver(name, { ...VFS_FACTORY, probe: () => Promise.resolve(refusal) });
      await withRoot([], async (root) => {
        await assert.rejects(chooseDriver({ root, requested: name }), (error) => {
          return hasCode(error, "NOT_SUPPORTED") && error.detail.lacking === lacking;
        });
      });
    });
  }

  it("tells that there is none", () => {
    assert.throws(() => openDriver({ name: "none", home: "/nowhere", options: {} }), (error) => {
      return hasCode(error, "NOT_SUPPORTED") && error.detail.lacking === "driver";
    });
  });

  it("has a name that can be a directory's", () => {
    for (const name of ["", "..", "a/b", "-rf", ".hidden", "1", "x".repeat(65)]) {
      assert.throws(() => registerDriver(name, VFS_FACTORY), (error) => hasCode(error, "INVALID_ARGUMENT"), name);
    }
    for (const name of ["image", "strata"]) {
      assert.throws(() => registerDriver(name, VFS_FACTORY), (error) => hasCode(error, "CONFLICT"));
    }
  });
});

describe("loadDriver()", () => {
  const module = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`;

  it("takes a driver that this thread does not know from its module, once", async () => {
    const text = "export default { open: (spec) => ({ spec }), probe: async () => undefined };";
    const spec = { name: "loaded", home: "/nowhere", options: {}, module: module(text) };
    const [one, two] = await Promise.all([loadDriver(spec), loadDriver(spec)]);
    assert.deepEqual([one.spec, two.spec], [spec, spec]);
    await withRoot([], async (root) => {
      assert.equal((await chooseDriver({ root, requested: "loaded" })).module, spec.module);
    });
  });

  it("tells that a module cannot be loaded, and why", async () => {
    for (const text of ["throw new Error('it is broken')", "export default {{"]) {
      await assert.rejects(
        loadDriver({ name: "broken", home: "/nowhere", options: {}, module: module(text) }),
        (error) => hasCode(error, "NOT_SUPPORTED") && error.detail.lacking === "driver" && error.cause !== undefined,
      );
    }
  });

  it("asks for the module of a driver that was registered without one", async () => {
    const spec = { name: "elsewhere", home: "/nowhere", options: {} };
    await assert.rejects(loadDriver(spec), /threads do not know it; register it with the module/);
  });

  it("refuses a module whose default export is no factory", async () => {
    for (const text of ["", "export default 1", "export default { open() {} }"]) {
      await assert.rejects(
        loadDriver({ name: "bad", home: "/nowhere", options: {}, module: module(text) }),
        (error) => hasCode(error, "NOT_SUPPORTED") && error.detail.lacking === "driver",
      );
    }
  });
});

describe("parseDriverOptions()", () => {
  it("splits at the first equals sign", () => {
    assert.deepEqual(parseDriverOptions(["a=b=c", " d = e "]), { a: "b=c", d: "e" });
  });

  it("refuses what has none", () => {
    assert.throws(() => parseDriverOptions(["a"]), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});

/** Calls with a root that holds these files; a trailing slash is for an empty directory. */
async function withRoot(paths: readonly string[], use: (root: string) => Promise<void> | void): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "strata-registry-"));
  try {
    for (const path of paths) {
      mkdirSync(join(root, path.endsWith("/") ? path : dirname(path)), { recursive: true });
      if (!path.endsWith("/")) writeFileSync(join(root, path), "");
    }
    await use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
