// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkFile, ROOMS } from "../../scripts/house_rules.ts";
import { readSource } from "../../scripts/source_text.ts";

const HEAD = "// SPDX-License-Identifier: Apache-2.0\n/**\n * A module.\n *\n * @module\n */\n";

function rulesBroken(path: string, body: string): string[] {
  return checkFile(readSource(path, HEAD + body)).map(({ rule, line }) => `${rule}:${line}`);
}

describe("checkFile()", () => {
  it("finds nothing in a file that keeps the rules", () => {
    assert.deepEqual(
      rulesBroken("src/tar/reader.ts", `import { x } from "../core/bytes.ts";\nexport const y = x;\n`),
      [],
    );
  });

  it("names the line of an import upward", () => {
    assert.deepEqual(rulesBroken("src/core/a.ts", `\nimport { x } from "../host/b.ts";\n`), ["levels:8"]);
    assert.deepEqual(rulesBroken("src/tar/a.ts", `export { x } from "../compression/b.ts";\n`), ["levels:7"]);
    assert.deepEqual(rulesBroken("src/driver/vfs/a.ts", `import type { X } from "../../metadata/b.ts";\n`), [
      "levels:7",
    ]);
    assert.deepEqual(rulesBroken("src/store/a.ts", `const x = await import("../image/b.ts");\n`), ["levels:7"]);
  });

  it("lets the command line see the public module only", () => {
    assert.deepEqual(rulesBroken("src/cli/commands/load.ts", `import { x } from "../../../mod.ts";\n`), []);
    assert.deepEqual(rulesBroken("src/cli/commands/load.ts", `import { x } from "../../core/bytes.ts";\n`), [
      "levels:7",
    ]);
  });

  it("refuses a folder that has no level", () => {
    assert.deepEqual(rulesBroken("src/attic/a.ts", ""), ["levels:1"]);
  });

  it("ignores imports in comments and strings", () => {
    assert.deepEqual(rulesBroken("src/core/a.ts", `// import "../host/b.ts"\nexport const s = "Deno";\n`), []);
    assert.deepEqual(rulesBroken("src/core/a.ts", "const s = `\nimport '' from \"../host/b.ts\";\n`;\n"), []);
  });

  it("keeps builtins in their rooms", () => {
    assert.deepEqual(rulesBroken("src/core/digest.ts", `import { createHash } from "node:crypto";\n`), []);
    assert.deepEqual(rulesBroken("src/core/ids.ts", `import { createHash } from "node:crypto";\n`), [
      "reserved-import:7",
    ]);
    assert.deepEqual(rulesBroken("src/stream/a.ts", `import "node:fs/promises";\n`), ["reserved-import:7"]);
    assert.deepEqual(rulesBroken("src/store/a.ts", `import { Worker } from "node:worker_threads";\n`), [
      "reserved-import:7",
    ]);
    assert.deepEqual(rulesBroken("tests/core/a_test.ts", `import { readFileSync } from "node:fs";\n`), []);
  });

  it("keeps the Deno global in the host", () => {
    assert.deepEqual(rulesBroken("src/host/command.ts", "Deno.exit();\n"), []);
    assert.deepEqual(rulesBroken("src/store/a.ts", "Deno.exit();\n"), ["reserved-global:7"]);
    assert.deepEqual(rulesBroken("src/store/a.ts", "const isDeno = /Deno/.test(version);\n"), []);
  });

  it("refuses packages that deno.json does not name", () => {
    assert.deepEqual(rulesBroken("tests/a_test.ts", `import { x } from "jsr:@std/assert";\n`), ["no-remote-import:7"]);
  });

  it("refuses barrels", () => {
    assert.deepEqual(rulesBroken("src/tar/mod.ts", ""), ["no-barrel:1"]);
    assert.deepEqual(rulesBroken("src/testing/mod.ts", ""), []);
    assert.deepEqual(rulesBroken("src/tar/a.ts", `export * from "./b.ts";\n`), ["no-barrel:7"]);
  });

  it("wants the licence and the module doc", () => {
    const found = checkFile(readSource("src/core/a.ts", "export const x = 1;\n")).map(({ rule }) => rule);
    assert.deepEqual(found, ["spdx", "module-doc"]);
    assert.deepEqual(checkFile(readSource("cli.ts", `#!/usr/bin/env node\n${HEAD}`)), []);
  });

  it("refuses boolean parameters, and only those", () => {
    assert.deepEqual(rulesBroken("src/core/a.ts", "export function f(a: string, b?: boolean) {}\n"), [
      "no-boolean-parameter:7",
    ]);
    assert.deepEqual(rulesBroken("src/core/a.ts", "class C {\n  m(b: boolean = true): void {}\n}\n"), [
      "no-boolean-parameter:8",
    ]);
    const allowed = "interface O { b: boolean }\nfunction f(o: { b: boolean }, t: (x: O) => boolean): boolean {}\n";
    assert.deepEqual(rulesBroken("src/core/a.ts", allowed), []);
  });

  it("refuses leftovers and untyped values", () => {
    assert.deepEqual(rulesBroken("tests/a.ts", `// ${"TO"}DO later\n`), ["no-leftovers:7"]);
    assert.deepEqual(rulesBroken("tests/a.ts", `// @${"ts-ignore"}\n`), ["no-any:7"]);
    assert.deepEqual(rulesBroken("scripts/a.ts", `const x = y ${"as"} any;\n`), ["no-any:7"]);
    assert.deepEqual(rulesBroken("scripts/a.ts", "// as any reader sees\nconst any = 1;\n"), []);
  });

  it("refuses files that are too long to read at one sitting", () => {
    assert.deepEqual(rulesBroken("src/core/a.ts", "\n".repeat(390)), []);
    assert.deepEqual(rulesBroken("src/core/a.ts", "export {};\n".repeat(400)), ["file-size:406"]);
  });
});

describe("ROOMS", () => {
  it("leads downward, or sideways to a room that is named before", () => {
    const names = Object.keys(ROOMS);
    for (const [name, room] of Object.entries(ROOMS)) {
      for (const below of room.mayImport) {
        const target = ROOMS[below];
        if (target === undefined) continue;
        assert.ok(target.level <= room.level && names.indexOf(below) < names.indexOf(name), `${name} imports ${below}`);
      }
    }
  });
});

describe("readSource()", () => {
  it("keeps code that follows quotes in regular expressions, and divisions", () => {
    const { bare } = readSource("a.ts", `const a = x.replace(/["'\`]/g, "b") / 2 / y; // c\nf();\n`);
    assert.match(bare, /\/ 2 \/ y; {5}\nf\(\);/);
    assert.doesNotMatch(bare, /b"/);
  });

  it("keeps every line where it is", () => {
    const text = "/* a\n b */ const c = `d\n${e}\n`;\n// f\ng;\n";
    const { code, bare } = readSource("a.ts", text);
    for (const seen of [code, bare]) assert.equal(seen.split("\n").indexOf("g;"), 5);
  });
});
