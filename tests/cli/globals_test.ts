// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { UsageError } from "../../src/cli/errors.ts";
import { resolveGlobals, scanGlobals } from "../../src/cli/globals.ts";
import { CliStore, runCli } from "../support/run_cli.ts";

describe("resolveGlobals()", () => {
  it("prefers an option to the environment, and that to the default", () => {
    const env = { STRATA_ROOT: "/env/root", STRATA_RUN_ROOT: "/env/run", STRATA_DRIVER: "vfs" };
    const given = resolveGlobals(new Map([["root", "/given"]]), env);
    assert.equal(given.root, "/given");
    assert.equal(given.runRoot, "/env/run");
    assert.equal(given.driver, "vfs");
    assert.equal(resolveGlobals(new Map(), {}).root, undefined);
    assert.equal(resolveGlobals(new Map([["driver", "auto"]]), env).driver, undefined);
    assert.equal(resolveGlobals(new Map(), { STRATA_ROOT: "" }).root, undefined);
  });

  it("reads the lock timeout in seconds", () => {
    assert.equal(resolveGlobals(new Map([["lock-timeout", "0.5"]]), {}).lockTimeoutMs, 500);
    assert.throws(() => resolveGlobals(new Map([["lock-timeout", "-1"]]), {}), UsageError);
  });

  it("prints errors only when quiet, unless told otherwise", () => {
    assert.equal(resolveGlobals(new Map([["quiet", true]]), {}).logLevel, "error");
    assert.equal(
      resolveGlobals(new Map<string, unknown>([["quiet", true], ["log-level", "debug"]]), {}).logLevel,
      "debug",
    );
    assert.equal(resolveGlobals(new Map(), {}).logLevel, "info");
  });
});

describe("scanGlobals()", () => {
  it("takes the last format, and none after --", () => {
    assert.equal(scanGlobals(["--json", "x", "--format", "table"]).format, "table");
    assert.equal(scanGlobals(["--format=table", "x", "--json"]).format, "json");
    assert.equal(scanGlobals(["x", "--", "--json"]).format, "table");
  });
});

describe("global options", () => {
  it("may stand before and after the command; the later wins", async () => {
    using store = new CliStore();
    const [one, two] = [store.path("one"), store.path("two")];
    assert.equal((await store.run(["--root", one, "layers", "--root", two])).code, 0);
    assert.ok(!existsSync(one));
    assert.ok(existsSync(two));
    assert.equal((await store.run(["--root", one, "layers"])).code, 0);
    assert.ok(existsSync(one));
    assert.match(await store.ok(["--format", "table", "layers", "--json"]), /^\{/);
    assert.match(await store.ok(["--json", "layers", "--format", "table"]), /^ID/);
    assert.match(await store.ok(["layers", "--json", "--format", "table"]), /^ID/);
    assert.match(await store.ok(["layers", "--format", "table", "--json"]), /^\{/);
  });

  it("choose the driver, by option or environment", async () => {
    using store = new CliStore("");
    await store.ok(["layers", "--driver", "vfs"]);
    assert.ok(readdirSync(store.path("root")).includes("vfs"));
    const unknown = await store.run(["layers"], { env: { STRATA_DRIVER: "floppy" } });
    assert.equal(unknown.code, 7);
    assert.match(unknown.stderr, /driver "floppy"/);
    const option = await store.run(["layers", "--driver", "vfs", "--driver-opt", "no.such=1"]);
    assert.equal(option.code, 2);
  });

  it("say which further store cannot be read, and why", async () => {
    using store = new CliStore();
    const missing = await store.run(["--read-only-root", store.path("none"), "layers"]);
    assert.equal(missing.code, 3);
    const noStore = await store.run(["--read-only-root", store.dir, "layers", "--json"]);
    assert.equal(noStore.code, 2);
    assert.match(JSON.parse(noStore.stderr).error.message, /as a further store: .*"image"/);
  });

  it("do not open a store for help", async () => {
    using store = new CliStore();
    await runCli(["layers", "--help"], { env: store.env });
    assert.ok(!existsSync(store.path("root")));
  });
});
