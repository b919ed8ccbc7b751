// SPDX-License-Identifier: Apache-2.0
/**
 * Root's store, and an ordinary user: what each command answers, and that none changes anything there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { chmodSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { COMMANDS } from "../../src/cli/command_table.ts";
import { EXIT } from "../../src/cli/exit_codes.ts";
import { dir, file, layerTar, opaque, whiteout } from "../../src/testing/layer_builder.ts";
import type { CommandEnd, CommandLine } from "../support/cli_child.ts";
import { archiveOf, dockerFiles, layerOf } from "../support/image_builder.ts";
import { OrdinaryUser, WITH_USER } from "../support/ordinary_user.ts";
import { CliStore } from "../support/run_cli.ts";
import { traceOf } from "../support/trace.ts";

const BASE = layerTar([
  dir("etc"),
  file("etc/motd", "hello\n"),
  file("etc/gone", "gone\n"),
  file("secret", "secret\n"),
]);
const TOP = layerTar([opaque("etc"), file("etc/new", "new\n"), whiteout("secret")]);
const IMAGE = archiveOf(dockerFiles([[["image:1"], { layers: [layerOf("f", "content")] }]]));

/** Readable, its files too, in place of the store's own. */
const SHELF = "SHELF";

/**
 * What a command does, and so what becomes of it in a store that the user may read: it works; what it would `write` is refused;
 * what `compares` layers works where nothing of them is hidden; or it ends with the code.
 */
type Does = "read" | "write" | "compare" | number;

const LINES: readonly (readonly [does: Does, line: string])[] = [
  ["write", "register"],
  ["write", "register --name new --parent base"],
  ["read", "layers"],
  ["read", "layers --tree"],
  ["read", "ls --quiet"],
  ["read", "inspect base box"],
  ["read", "export top"],
  ["read", "verify top"],
  ["write", "rm top"],
  ["write", "rm box"],
  ["write", "rm base --force"],
  ["write", "name add base more"],
  ["write", "name set base other"],
  ["write", "name rm base base-name"],
  ["read", "metadata base"],
  ["write", "metadata base text"],
  ["write", "flag set base key"],
  ["write", "flag clear base key"],
  ["read", "data ls base"],
  ["read", "data get base key"],
  ["read", "data digest base key"],
  ["read", "data size base key"],
  ["write", "data set base key"],
  ["read", "exists base"],
  [EXIT.negative, "exists nothing"],
  ["write", `adopt base --from ${SHELF}`],
  ["write", "create new"],
  ["write", "create new --parent base"],
  ["write", "create new --template top"],
  ["write", "create new --parent base --uid-map 0:100000:65536 --gid-map 0:100000:65536"],
  ["write", "mount base"],
  ["write", "mount box"],
  [EXIT.notFound, "unmount box"],
  ["read", "mounts"],
  ["compare", "changes top"],
  ["compare", "diff box base"],
  ["compare", "diffsize top"],
  ["write", "apply box"],
  ["write", "commit box"],
  ["read", "owners base"],
  ["write", "load -"],
  ["read", "images"],
  ["read", "info"],
  ["write", "gc"],
  ["read", "gc --dry-run"],
  ["read", "fsck"],
  ["write", "fsck --repair"],
];

/** They run without a store. */
const WITHOUT_STORE = ["unshare"];

const NEEDS = process.geteuid?.() === 0 ? WITH_USER : { skip: "needs root, to have a store that is not the user's" };

describe("the table of commands", () => {
  it("has all of them", () => {
    const named = new Set(LINES.map(([, line]) => line.split(" ")[0]));
    const missing = COMMANDS.flatMap((command) => {
      const words = "commands" in command ? command.commands.map(({ name }) => `${command.name} ${name}`) : [];
      const isThere = named.has(command.name) && words.every((two) => LINES.some(([, line]) => line.startsWith(two)));
      return isThere || WITHOUT_STORE.includes(command.name) ? [] : [command.name];
    });
    assert.deepEqual(missing, []);
  });
});

for (const driver of ["overlay2", "vfs"]) {
  describe(`root's store on ${driver}, and an ordinary user`, NEEDS, () => {
    it("is closed to every command, in text and in JSON", async () => {
      using store = await filled(driver);
      using user = new OrdinaryUser();
      const before = traceOf(store.dir);
      const lines = LINES.flatMap(([, line]) => [line, `${line} --json`]);
      const image = join(store.path("root"), "image");
      for (const { line, code, stdout, stderr } of await run(user, store, { lines })) {
        assert.deepEqual([code, stdout], [EXIT.unsupported, ""], `${line}: ${stderr}`);
        if (line.endsWith("--json")) {
          const { schema, error } = JSON.parse(stderr);
          assert.deepEqual([schema, error.code, error.path], [1, "NOT_PERMITTED", image], line);
          continue;
        }
        assert.match(
          stderr,
          /^error: Cannot open the store at ".*": this user may not look into ".*"; run as .*\nhint: /,
        );
        assert(stderr.includes(`"${image}"`) && stderr.includes("--root"), `${line}: ${stderr}`);
        assert.equal(stderr.trimEnd().split("\n").length, 2, `${line} shows no more than that: ${stderr}`);
      }
      assert.deepEqual(traceOf(store.dir), before, "nothing is made or touched");
    });

    it("is closed also to those who look for its driver, or use it as a further root", async () => {
      using store = await filled(driver);
      using user = new OrdinaryUser();
      const own = `--root ${user.home}/own --driver vfs`;
      const lines = [`layers ${own} --read-only-root ROOT`, `adopt base ${own} --from ROOT`, "layers", "register"];
      const env = { STRATA_DRIVER: "" };
      for (const { line, code, stdout, stderr } of await run(user, store, { lines, env })) {
        assert.deepEqual([code, stdout], [EXIT.unsupported, ""], `${line}: ${stderr}`);
        assert.match(stderr, /^error: Cannot open the store at ".*": this user may not look into/, line);
      }
    });

    it("is read, and not written, where its files are readable", async () => {
      using store = await filled(driver);
      using user = new OrdinaryUser();
      open(store.path("root"));
      const before = traceOf(store.dir);
      const lines = LINES.map(([, line]) => `${line} --json`);
      for (const [at, { line, code, stderr }] of (await run(user, store, { lines })).entries()) {
        const does = LINES[at]![0];
        const expected = typeof does === "number" ? does : mayDo(does, driver) ? EXIT.ok : EXIT.unsupported;
        assert.equal(code, expected, `${line}: ${stderr}`);
        if (expected !== EXIT.unsupported) continue;
        const { error } = JSON.parse(stderr);
        const why = does === "write"
          ? /^Cannot write to the store at ".*": this user may not write ".*"; run as /
          : HIDDEN;
        assert.equal(error.code, "NOT_PERMITTED", `${line}: ${stderr}`);
        assert.match(error.message, why, line);
        assert(error.message.includes(store.path("root")), line);
      }
      assert.deepEqual(traceOf(store.dir), before, "nothing is made or touched");
    });

    it("is not called damaged when a file of a layer is for root only", async () => {
      using store = await filled(driver);
      using user = new OrdinaryUser();
      open(store.path("root"), (path) => /\/secret$/.test(path));
      const lines = ["verify", "verify base", "fsck --full", "export base"];
      for (const { line, code, stderr } of await run(user, store, { lines })) {
        assert.equal(code, EXIT.unsupported, `${line}: ${stderr}`);
        assert.match(stderr, /^error: .*permission denied \(EACCES.*"secret"/, line);
        assert.doesNotMatch(stderr, /register it again|damage/, line);
      }
      const [fsck, top] = await run(user, store, { lines: ["fsck", "export top"] });
      assert.deepEqual([fsck?.code, top?.code], [EXIT.ok, EXIT.ok], "what can be read is read");
    });
  });
}

describe("root's overlays, and an ordinary user who would need a namespace", NEEDS, () => {
  it("are refused before one is entered, and without the advice to enter one", async () => {
    using store = await filled("overlay2");
    using user = new OrdinaryUser();
    for (const state of ["closed", "readable"]) {
      if (state === "readable") open(store.path("root"));
      for (const line of ["mount base", "register", ...state === "closed" ? ["layers"] : []]) {
        const { code, stderr } = await user.run(user.strata(...line.split(" ")), { env: envOf(user, store) });
        assert.equal(code, EXIT.unsupported, `${line}: ${stderr}`);
        assert.match(
          stderr,
          /^error: Cannot (open|write to) the store at .*\nhint: .*--root.*\n$/,
          `${state}: ${line}`,
        );
      }
    }
  });

  it("are no parents inside of one, where what they hide cannot be seen either", async () => {
    using store = await filled("overlay2");
    using user = new OrdinaryUser();
    open(store.path("root"));
    const own = ["--root", join(user.home, "own"), "--read-only-root", store.path("root"), "--json"];
    for (const line of ["changes top", "create work --parent top"]) {
      const { code, stderr } = await user.run(user.strata(...line.split(" "), ...own), { env: envOf(user, store) });
      assert.equal(code, EXIT.unsupported, `${line}: ${stderr}`);
      assert.match(JSON.parse(stderr).error.message, HIDDEN, line);
    }
  });
});

const HIDDEN = /^Cannot tell what the layers in ".*" hide of each other: root made them, .*; run as root/;

/** What root's overlays hide of each other, only root can see. */
function mayDo(does: "read" | "write" | "compare", driver: string): boolean {
  return does === "read" || (does === "compare" && driver === "vfs");
}

/** A store of root's with a layer, another on it, a writable layer and a data item. */
async function filled(driver: string): Promise<CliStore> {
  const store = new CliStore(driver);
  await store.ok(["register", "--id", "base", "--name", "base-name"], { stdin: BASE });
  await store.ok(["register", "--id", "top", "--parent", "base"], { stdin: TOP });
  await store.ok(["create", "box", "--parent", "top"]);
  await store.ok(["data", "set", "base", "key"], { stdin: "value" });
  spawnSync("cp", ["-a", store.path("root"), store.path("shelf")]);
  open(store.path("shelf"));
  chmodSync(store.dir, 0o755);
  return store;
}

/** Lets everybody read what lies below, but for what is kept. */
function open(root: string, isKept: (path: string) => boolean = () => false): void {
  for (const name of ["", ...readdirSync(root, { recursive: true, encoding: "utf8" })]) {
    const path = join(root, name);
    const { mode } = lstatSync(path);
    if ((mode & 0o170000) === 0o120000) continue;
    if (isKept(path)) chmodSync(path, 0o600);
    else chmodSync(path, (mode & 0o7777) | ((mode & 0o170000) === 0o040000 ? 0o555 : 0o444));
  }
}

interface Run {
  readonly lines: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs command lines as the user, in one process. */
async function run(
  user: OrdinaryUser,
  store: CliStore,
  { lines, env }: Run,
): Promise<(CommandEnd & { readonly line: string })[]> {
  const calls = lines.map((line): CommandLine => ({
    args: line.replace(SHELF, store.path("shelf")).replace("ROOT", store.path("root")).split(" "),
    env: { ...envOf(user, store), ...env },
    stdin: Buffer.from(line.startsWith("load") ? IMAGE : BASE).toString("base64"),
  }));
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const script = user.script(new URL(`../support/cli_child.${extension}`, import.meta.url));
  const stdin = new TextEncoder().encode(calls.map((call) => JSON.stringify(call)).join("\n"));
  const said = await user.ok(script, { stdin });
  const ends: CommandEnd[] = said.split("\n").map((line) => JSON.parse(line));
  assert.equal(ends.length, lines.length);
  return ends.map((end, at) => ({ ...end, line: lines[at]! }));
}

/** The user counts mounts in a place of the user's own. */
function envOf(user: OrdinaryUser, { env }: CliStore): Readonly<Record<string, string>> {
  return { ...env, STRATA_RUN_ROOT: join(user.home, "run/strata") };
}
