// SPDX-License-Identifier: Apache-2.0
/**
 * `deno task lint:house`: checks the house rules over the whole repository, prints `file:line: rule: what`, and fails when
 * one is broken.
 *
 * What it counts but does not fail on: files that grow long, and modules that have no test file of their own name.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { checkFile, LINES_WARN } from "./house_rules.ts";
import { readSource, type SourceText } from "./source_text.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FOLDERS = ["src", "tests", "scripts", "bench"];
const FILES = ["mod.ts", "cli.ts"];

main();

function main(): void {
  const sources = sourcePaths().map((path) => readSource(path, readFileSync(join(ROOT, path), "utf8")));
  const findings = sources.flatMap(checkFile);
  for (const { path, line, rule, message } of findings) console.log(`${path}:${line}: ${rule}: ${message}`);
  const modules = sources.filter(needsMirror);
  const bare = modules.filter(({ path }) => !existsSync(join(ROOT, mirrorOf(path))));
  const long = sources.filter(({ path, text }) => path.startsWith("src/") && text.split("\n").length > LINES_WARN);
  console.log(`${sources.length} files; ${findings.length} against the rules; ${long.length} over ${LINES_WARN} lines`);
  console.log(`${bare.length} of ${modules.length} modules are tested through others only`);
  if (findings.length > 0) process.exitCode = 1;
}

function sourcePaths(): string[] {
  const inFolders = FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
  );
  return [...FILES.filter((file) => existsSync(join(ROOT, file))), ...inFolders.sort()];
}

/** Modules with values; one of types alone has nothing to run. */
function needsMirror({ path, bare }: SourceText): boolean {
  return path.startsWith("src/") && /^export (?:async function|function|class|const)\b/m.test(bare);
}

function mirrorOf(path: string): string {
  return path.replace(/^src\//, "tests/").replace(/\.ts$/, "_test.ts");
}
