// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { COMMANDS } from "../../src/cli/command_table.ts";
import type { CommandSpec } from "../../src/cli/command.ts";
import { EnvironmentError } from "../../src/cli/errors.ts";
import { requireRuntime } from "../../src/cli/main.ts";
import { strataIfLoaded } from "../../src/cli/strata.ts";
import { VERSION } from "../../src/cli/version.ts";
import { runCli } from "../support/run_cli.ts";

/** A command, and the words that lead to it. */
interface Call {
  readonly words: readonly string[];
  readonly spec: CommandSpec;
}

const CALLS: readonly Call[] = COMMANDS.flatMap((entry): Call[] =>
  "run" in entry
    ? [{ words: [entry.name], spec: entry }]
    : entry.commands.map((spec) => ({ words: [entry.name, spec.name], spec }))
);

describe("strata", () => {
  it("prints its version", async () => {
    for (const flag of ["--version", "-V"]) {
      assert.deepEqual(
        { code: 0, stdout: `${VERSION}\n`, stderr: "" },
        pick(await runCli([flag])),
      );
    }
  });

  it("has the package's version", () => {
    const paths = ["../../deno.json", "../../node_modules/@strata/layers/package.json"];
    const url = paths.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
    assert.ok(url !== undefined);
    assert.equal(JSON.parse(readFileSync(url, "utf8")).version, VERSION);
  });

  it("prints help when asked, on standard output, with every command and exit code", async () => {
    const { code, stdout, stderr } = await runCli(["--help"]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const { name, group } of COMMANDS) {
      assert.match(stdout, new RegExp(`^  ${name}\\b`, "m"));
      assert.ok(stdout.includes(`${group}:`));
    }
    for (const line of ["2    wrong usage", "130  ended by SIGINT", "Examples:"]) assert.ok(stdout.includes(line));
  });

  it("prints help on standard error without a command, and fails", async () => {
    for (const args of [[], ["name"]]) {
      const { code, stdout, stderr } = await runCli(args);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /^Usage: strata/);
    }
  });

  it("suggests the command or option that was meant", async () => {
    const command = await runCli(["regster"]);
    assert.equal(command.code, 2);
    assert.equal(command.stderr, "error: unknown command 'regster'\nhint: Did you mean register?\n");
    const option = await runCli(["layers", "--tre"]);
    assert.equal(option.code, 2);
    assert.match(option.stderr, /unknown option '--tre'\nhint: Did you mean --tree\?/);
  });

  it("reports wrong usage as one line of JSON when JSON is wanted", async () => {
    for (const args of [["--json", "regster"], ["regster", "--format=jsonl"], ["regster", "--format", "json"]]) {
      const { code, stdout, stderr } = await runCli(args);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.deepEqual(JSON.parse(stderr), {
        schema: 1,
        error: { code: "USAGE", message: "unknown command 'regster'", hint: "Did you mean register?" },
      });
      assert.equal(stderr.trimEnd().split("\n").length, 1);
    }
  });

  it("refuses words that were no UTF-8: two of them can look the same", async () => {
    for (const args of [["data", "get", "ref", "a\ufffdb"], ["--root", "/tmp/\ufffd", "layers"]]) {
      const { code, stderr } = await runCli(args);
      assert.equal(code, 2);
      assert.match(stderr, /^error: Cannot use argument [24], ".*\ufffd.*": it is no UTF-8 text\nhint: /);
    }
  });

  it("refuses values that an option does not have", async () => {
    for (const args of [["--format", "xml", "layers"], ["layers", "--progress", "loud"], ["layers", "--root"]]) {
      assert.equal((await runCli(args)).code, 2, args.join(" "));
    }
    assert.equal((await runCli(["layers", "--lock-timeout", "soon"])).code, 2);
    assert.equal((await runCli(["layers", "--driver-opt", "novalue"])).code, 2);
  });

  it("colours messages when told to, or on a terminal that wants it", async () => {
    const red = "\u001b[31merror\u001b[39m: ";
    assert.ok((await runCli(["nope", "--color", "always"])).stderr.startsWith(red));
    assert.ok((await runCli(["nope"], { terminals: ["stderr"] })).stderr.startsWith(red));
    const plain = await runCli(["nope"], { terminals: ["stderr"], env: { NO_COLOR: "1" } });
    assert.ok(plain.stderr.startsWith("error: "));
    assert.ok((await runCli(["nope"])).stderr.startsWith("error: "));
  });
});

describe("every command", () => {
  for (const { words, spec } of CALLS) {
    it(`${words.join(" ")}: has help with an example of itself, and exit codes`, async () => {
      const { code, stdout } = await runCli([...words, "--help"]);
      assert.equal(code, 0);
      assert.ok(stdout.includes(`Usage: strata ${words[0]}`));
      assert.ok(stdout.includes("Exit codes:\n  0    success"));
      for (const { line } of spec.examples) assert.ok(stdout.includes(line));
      const about = stdout.slice(stdout.indexOf("\n\n"), stdout.search(/\n(Arguments|Options):/)).split("\n\n");
      for (const text of about) assert.doesNotMatch(text.trim(), /^.{0,60}\n/m, "lines are as long as they can be");
      assert.ok(spec.examples.some(({ line }) => line.includes(`strata ${words.join(" ")}`)));
      assert.doesNotMatch(spec.summary, /\.$/);
      assert.deepEqual(pick(await runCli(["help", ...words.slice(0, 1)])).code, 0);
    });

    it(`${words.join(" ")}: refuses unknown options, and too many or too few arguments`, async () => {
      const required = (spec.arguments ?? []).filter(({ count }) => count === "one" || count === "many");
      const unlimited = (spec.arguments ?? []).some(({ count }) => count === "many" || count === "any");
      const enough = required.map(() => "x");
      assert.equal((await runCli([...words, ...enough, "--no-such-option"])).code, 2);
      if (required.length > 0) {
        const { code, stderr } = await runCli([...words, ...enough.slice(1)]);
        assert.equal(code, 2);
        assert.match(stderr, /missing required argument/);
      }
      if (!unlimited) {
        const { code, stderr } = await runCli([...words, ...Array.from({ length: 4 }, () => "x")]);
        assert.equal(code, 2);
        assert.match(stderr, /too many arguments/);
        assert.ok(stderr.endsWith(`hint: See "strata ${words.join(" ")} --help"\n`));
      }
    });
  }
});

describe("help, version and wrong usage", () => {
  it("load no library: they start at once", async () => {
    for (const args of [["--help"], ["--version"], ["register", "--help"], ["nope"], ["layers", "x"]]) {
      await runCli(args);
    }
    assert.equal(strataIfLoaded(), undefined);
  });
});

describe("requireRuntime()", () => {
  it("refuses a Node that is too old, and says what to use", () => {
    requireRuntime("20.0.0");
    assert.throws(() => requireRuntime("18.19.1"), (error) => {
      assert.ok(error instanceof EnvironmentError);
      assert.match(error.hint, /Node 20/);
      return true;
    });
  });
});

function pick({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) {
  return { code, stdout, stderr };
}
