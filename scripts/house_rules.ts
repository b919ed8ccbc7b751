// SPDX-License-Identifier: Apache-2.0
/**
 * The house rules that no general linter knows, as data and pure functions. `src/ARCHITECTURE.md` says why each is there.
 *
 * @module
 */
import { posix } from "node:path";
import { importsOf, lineAt, type SourceText } from "./source_text.ts";

/** Something that breaks a rule, and where. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

interface Room {
  readonly level: number;
  /** Rooms it may import beside itself; `"mod.ts"` is the public module. */
  readonly mayImport: readonly string[];
}

interface Reserved {
  readonly what: RegExp;
  /** The folder (with a slash at its end) or file that alone may use it. */
  readonly home: string;
}

interface Banned {
  readonly rule: string;
  readonly what: RegExp;
  readonly remedy: string;
}

const BELOW_WORKER = [
  "core",
  "stream",
  "host",
  "compression",
  "tar",
  "tarsplit",
  "changeset",
  "metadata",
  "driver",
] as const;
const BELOW_STORE = [...BELOW_WORKER, "worker"] as const;

/** The rooms of `src/`: who may import whom (I10). */
export const ROOMS: Readonly<Record<string, Room>> = {
  core: { level: 0, mayImport: [] },
  stream: { level: 1, mayImport: ["core"] },
  host: { level: 1, mayImport: ["core"] },
  // Compression runs programs for the formats that no library reads.
  compression: { level: 2, mayImport: ["core", "stream", "host"] },
  tar: { level: 2, mayImport: ["core", "stream"] },
  tarsplit: { level: 3, mayImport: ["core", "stream", "tar"] },
  changeset: { level: 3, mayImport: ["core", "stream", "tar", "host"] },
  metadata: { level: 4, mayImport: ["core", "host"] },
  driver: { level: 4, mayImport: ["core", "stream", "host", "changeset"] },
  worker: { level: 5, mayImport: BELOW_WORKER },
  store: { level: 6, mayImport: BELOW_STORE },
  image: { level: 6, mayImport: [...BELOW_STORE, "store"] },
  testing: { level: 7, mayImport: ["mod.ts", "core", "host", "tar", "changeset", "driver"] },
  cli: { level: 7, mayImport: ["mod.ts"] },
};

const RESERVED_IMPORTS: readonly Reserved[] = [
  { what: /^node:crypto$/, home: "src/core/digest.ts" },
  { what: /^node:zlib$/, home: "src/compression/" },
  { what: /^node:(fs|fs\/promises|child_process)$/, home: "src/host/" },
  { what: /^koffi$/, home: "src/host/" },
  { what: /^node:worker_threads$/, home: "src/worker/" },
];

const RESERVED_CODE: readonly Reserved[] = [{ what: /\bDeno\b/g, home: "src/host/" }];

const BANNED_TEXT: readonly Banned[] = [
  { rule: "no-leftovers", what: /\b(?:T[O]DO|F[I]XME|X[X]X)\b/g, remedy: "do it, or open an issue" },
  { rule: "no-any", what: /@ts-(?:ignore|nocheck)\b/g, remedy: "give the value its type" },
];

const BANNED_CODE: readonly Banned[] = [
  { rule: "no-any", what: /\bas\s+any\b|[:<,|&]\s*any\b/g, remedy: "parse the value, or say what is known of it" },
];

/** More than this is two subjects. */
export const LINES_MAX = 400;
/** More than this is a long read. */
export const LINES_WARN = 300;

/** All that a file does against the rules. */
export function checkFile(source: SourceText): Finding[] {
  const shipped = isShipped(source.path);
  return [
    ...checkHead(source),
    ...checkBanned(source),
    ...checkBooleans(source),
    ...checkRemote(source),
    ...(shipped
      ? [...checkReserved(source), ...checkLevels(source), ...checkBarrel(source), ...checkSize(source)]
      : []),
  ].sort((a, b) => a.line - b.line);
}

/** True for the files that users get, which the stricter rules are for. */
export function isShipped(path: string): boolean {
  return path.startsWith("src/") || path === "mod.ts" || path === "cli.ts";
}

function checkHead({ path, text }: SourceText): Finding[] {
  const lines = text.split("\n");
  const first = lines[0]?.startsWith("#!") ? 1 : 0;
  const findings: Finding[] = [];
  if (lines[first] !== "// SPDX-License-Identifier: Apache-2.0") {
    findings.push({ path, line: first + 1, rule: "spdx", message: "the first line must name the licence" });
  }
  if (!path.startsWith("tests/") && !/^ \* @module$/m.test(text)) {
    findings.push({
      path,
      line: first + 2,
      rule: "module-doc",
      message: "no module doc: a comment that ends in @module",
    });
  }
  return findings;
}

function checkBanned(source: SourceText): Finding[] {
  return [...ban(source, source.text, BANNED_TEXT), ...ban(source, source.bare, BANNED_CODE)];
}

function ban({ path }: SourceText, text: string, banned: readonly Banned[]): Finding[] {
  return banned.flatMap(({ rule, what, remedy }) =>
    Array.from(text.matchAll(what), (match) => ({
      path,
      line: lineAt(text, match.index),
      rule,
      message: `"${match[0].trim()}" is not used here; ${remedy}`,
    }))
  );
}

/** A boolean parameter is one whose annotation stands directly between the brackets of a parameter list. */
function checkBooleans({ path, bare }: SourceText): Finding[] {
  const open: string[] = [];
  const findings: Finding[] = [];
  for (const match of bare.matchAll(/[([{]|[)\]}]|\b\w+\??\s*:\s*boolean\b(?=\s*[,)|=])/g)) {
    const token = match[0];
    if ("([{".includes(token)) open.push(token);
    else if (")]}".includes(token)) open.pop();
    else if (open.at(-1) === "(") {
      const message = `parameter "${token}": a choice is a word, not a boolean`;
      findings.push({ path, line: lineAt(bare, match.index), rule: "no-boolean-parameter", message });
    }
  }
  return findings;
}

function checkRemote(source: SourceText): Finding[] {
  return importsOf(source).filter(({ specifier }) => /^(?:https?|jsr|npm):/.test(specifier)).map(
    ({ specifier, line }) => ({
      path: source.path,
      line,
      rule: "no-remote-import",
      message: `"${specifier}": packages are named in deno.json, and come from npm`,
    }),
  );
}

function checkReserved(source: SourceText): Finding[] {
  const { path, bare } = source;
  const imports = importsOf(source).flatMap(({ specifier, line }) =>
    RESERVED_IMPORTS.filter(({ what, home }) => what.test(specifier) && !path.startsWith(home)).map(({ home }) => ({
      path,
      line,
      rule: "reserved-import",
      message: `"${specifier}" belongs to ${home} alone`,
    }))
  );
  const uses = RESERVED_CODE.filter(({ home }) => !path.startsWith(home)).flatMap(({ what, home }) =>
    Array.from(bare.matchAll(what), (match) => ({
      path,
      line: lineAt(bare, match.index),
      rule: "reserved-global",
      message: `"${match[0]}" belongs to ${home} alone`,
    }))
  );
  return [...imports, ...uses];
}

function checkLevels(source: SourceText): Finding[] {
  const from = roomOf(source.path);
  if (from === undefined) return [];
  const room = ROOMS[from];
  if (room === undefined) {
    const message = `"src/${from}" is no room of the house; give it a level in scripts/house_rules.ts`;
    return [{ path: source.path, line: 1, rule: "levels", message }];
  }
  return importsOf(source).flatMap(({ specifier, line }) => {
    const target = targetOf(source.path, specifier);
    if (target === undefined || target === from || room.mayImport.includes(target)) return [];
    const message = `${from} (level ${room.level}) may not import ${target}${levelOf(target)}`;
    return [{ path: source.path, line, rule: "levels", message }];
  });
}

function levelOf(target: string): string {
  const room = ROOMS[target];
  return room === undefined ? "" : ` (level ${room.level})`;
}

/** The room a relative import leads to, or the file when it lies in no room. */
function targetOf(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  return roomOf(target) ?? target;
}

function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

/** A barrel hides the direction of imports. The public modules are no barrels: they name what they export. */
function checkBarrel({ path, bare }: SourceText): Finding[] {
  const findings: Finding[] = [];
  if (/^src\/.*\b(?:index|mod)\.ts$/.test(path) && path !== "src/testing/mod.ts") {
    findings.push({ path, line: 1, rule: "no-barrel", message: "import the files themselves" });
  }
  for (const match of bare.matchAll(/\bexport\s+\*/g)) {
    findings.push({ path, line: lineAt(bare, match.index), rule: "no-barrel", message: "export by name" });
  }
  return findings;
}

function checkSize({ path, text }: SourceText): Finding[] {
  const lines = text.trimEnd().split("\n").length;
  if (lines <= LINES_MAX) return [];
  return [{
    path,
    line: lines,
    rule: "file-size",
    message: `${lines} lines, more than ${LINES_MAX}: split it by subject`,
  }];
}
