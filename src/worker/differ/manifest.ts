// SPDX-License-Identifier: Apache-2.0
/**
 * Manifests of directories: what a tree holds, with the digest of each file's content. A JSON document:
 *
 *   { "version": 1,
 *     "entries": [
 *       { "path": ".", "type": "dir", "mode": 493, "uid": 0, "gid": 0, "mtime": { "sec": 1700000000, "nsec": 0 } },
 *       { "path": "bin/tool", "type": "file", …, "size": 5, "digest": "sha256:…",
 *         "xattrs": [{ "name": "user.note", "value": "<base64>" }] },
 *       { "path": "bin/t", "type": "symlink", …, "target": "tool" },
 *       { "path": "bin/tool2", "type": "hardlink", …, "target": "bin/tool" },
 *       { "path": "dev/null", "type": "char", …, "major": 1, "minor": 3 },
 *       { "path": "etc/old", "type": "whiteout" } ] }
 *
 * A path or target is text, or `{ "base64": "…" }` for bytes that are no UTF-8. Paths are relative, plain (no empty
 * component, `.` or `..`) and may come in any order; `.` is the root. A whiteout says that the layers below lose the path.
 * A hard link's target is an entry that sorts before it, bytewise. Directories that are not listed take their metadata from
 * below.
 *
 * Everything is parsed, nothing believed: a manifest may come from a stranger.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as v from "valibot";
import { type ByteString, compareBytes, display, fromBytes, fromText } from "../../core/bytes.ts";
import { type Digest, parseDigest } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import type { Timespec } from "../../core/file_stat.ts";
import { ID_MAX } from "../../core/id_map.ts";
import { ancestorsOf, componentsOf, type LayerPath, parseLayerPath, ROOT } from "../../core/layer_path.ts";
import { type Limits, MANIFEST_CHARS_MAX } from "../../core/limits.ts";
import { WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";

/** A path, link target or attribute name: text, or bytes that are no UTF-8. */
export type ManifestName = string | { readonly base64: string };

/** An extended attribute. */
export interface ManifestXattr {
  /** Its whole name, such as `user.note`. */
  readonly name: ManifestName;
  /** Base64. */
  readonly value: string;
}

/** What every object has. */
export interface ManifestObject {
  /** Relative to the root, which is `.`. */
  readonly path: ManifestName;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** Owner. */
  readonly uid: number;
  /** Group. */
  readonly gid: number;
  /** When it was changed. */
  readonly mtime: Timespec;
  /** Extended attributes. */
  readonly xattrs?: readonly ManifestXattr[] | undefined;
}

/** One path of a directory. */
export type ManifestEntry =
  | (ManifestObject & { readonly type: "file"; readonly size: number; readonly digest: string })
  | (ManifestObject & { readonly type: "dir" | "fifo" })
  | (ManifestObject & { readonly type: "symlink" | "hardlink"; readonly target: ManifestName })
  | (ManifestObject & { readonly type: "char" | "block"; readonly major: number; readonly minor: number })
  | { readonly path: ManifestName; readonly type: "whiteout" };

/** What a directory holds. */
export interface DirectoryManifest {
  /** Of this format. */
  readonly version: 1;
  /** In any order. */
  readonly entries: readonly ManifestEntry[];
}

/** An entry that was found right. */
export interface TreeEntry {
  readonly path: LayerPath;
  readonly type: ManifestEntry["type"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timespec;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** Bytes of a file; 0 for all else. */
  readonly size: number;
  /** A file's. */
  readonly digest: Digest | undefined;
  /** A link's, as it is written; empty for all else. */
  readonly target: ByteString;
  readonly major: number;
  readonly minor: number;
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const id = v.pipe(count, v.maxValue(ID_MAX));
const nameSchema = v.union([v.string(), v.strictObject({ base64: v.string() })]);
const object = {
  path: nameSchema,
  mode: v.pipe(count, v.maxValue(0o7777)),
  uid: id,
  gid: id,
  mtime: v.strictObject({ sec: v.pipe(v.number(), v.safeInteger()), nsec: v.pipe(count, v.maxValue(999_999_999)) }),
  xattrs: v.optional(v.array(v.strictObject({ name: nameSchema, value: v.string() }))),
};
const device = { major: count, minor: count };
const entrySchema = v.variant("type", [
  v.strictObject({ ...object, type: v.literal("file"), size: count, digest: v.string() }),
  v.strictObject({ ...object, type: v.picklist(["dir", "fifo"]) }),
  v.strictObject({ ...object, type: v.picklist(["symlink", "hardlink"]), target: nameSchema }),
  v.strictObject({ ...object, ...device, type: v.picklist(["char", "block"]) }),
  v.strictObject({ path: nameSchema, type: v.literal("whiteout") }),
]);
const headSchema = v.strictObject({ version: v.literal(1), entries: v.array(v.unknown()) });

/**
 * The entries of a manifest, sorted bytewise by path, whiteouts first.
 * @param manifest the document, or its text
 * @throws {StrataError} `INVALID_ARCHIVE` naming the entry and what is wrong; `LIMIT_EXCEEDED`
 */
export function parseManifest(manifest: DirectoryManifest | string, limits: Limits): TreeEntry[] {
  const document = v.safeParse(headSchema, typeof manifest === "string" ? parseText(manifest) : manifest);
  if (!document.success) refuse(`it is no manifest of version 1 (${document.issues[0].message})`);
  const { entries } = document.output;
  requireLimit("entriesMax", entries.length, limits.entriesMax);
  const parsed = entries.map((entry, index) => parseEntry(entry, index, limits));
  const unpackedBytes = parsed.reduce((sum, { size }) => sum + size, 0);
  requireLimit("unpackedBytesMax", unpackedBytes, limits.unpackedBytesMax);
  requireTree(parsed);
  return parsed.sort((a, b) => compareBytes(a.path, b.path) || rankOf(a) - rankOf(b));
}

/** Of two entries of one path, the whiteout comes first: what replaces the object below comes after it. */
function rankOf({ type }: TreeEntry): number {
  return type === "whiteout" ? 0 : 1;
}

function parseText(text: string): unknown {
  requireLimit("MANIFEST_CHARS_MAX", text.length, MANIFEST_CHARS_MAX);
  try {
    return JSON.parse(text);
  } catch (cause) {
    return refuse(`it is no JSON (${cause instanceof Error ? cause.message : cause})`);
  }
}

function parseEntry(value: unknown, index: number, limits: Limits): TreeEntry {
  const result = v.safeParse(entrySchema, value);
  if (!result.success) {
    const [issue] = result.issues;
    refuse(`${v.getDotPath(issue) ?? "it"} is wrong: ${issue.message}`, `entry ${index}`);
  }
  const entry = result.output;
  const path = parsePath(entry.path, limits);
  const said = entry.type === "whiteout" ? { mode: 0, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } } : entry;
  const { mode, uid, gid, mtime } = said;
  const target = "target" in entry ? parseTarget(entry.target, path) : EMPTY;
  return {
    path,
    type: entry.type,
    mode,
    uid,
    gid,
    mtime,
    xattrs: parseXattrs("xattrs" in entry ? entry.xattrs : undefined, path, limits),
    size: entry.type === "file" ? entry.size : 0,
    digest: entry.type === "file" ? parseFileDigest(entry.digest, path) : undefined,
    target,
    major: "major" in entry ? entry.major : 0,
    minor: "minor" in entry ? entry.minor : 0,
  };
}

const EMPTY: ByteString = fromText("");
const HERE: ByteString = fromText(".");

function parsePath(name: ManifestName, limits: Limits): LayerPath {
  const bytes = parseName(name);
  if (bytes === HERE) return ROOT;
  const path = parseLayerPath(bytes, limits);
  if (path !== bytes || path === ROOT) refuse("its path is no plain relative path", display(bytes));
  if (componentsOf(path).some((component) => component.startsWith(WHITEOUT_PREFIX))) {
    refuse("names that begin with .wh. mean deletions in a layer; use the type whiteout", display(bytes));
  }
  return path;
}

function parseTarget(name: ManifestName, path: LayerPath): ByteString {
  const target = parseName(name);
  if (target === "" || target.includes("\0")) refuse("its target is empty, or has a NUL byte", display(path));
  return target;
}

function parseName(name: ManifestName): ByteString {
  if (typeof name === "string") {
    if (/\p{Surrogate}/u.test(name)) refuse("a name is no Unicode text; give it as base64", name);
    return fromText(name);
  }
  return fromBytes(parseBase64(name.base64));
}

function parseBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) refuse("it is no base64, with its padding", text.slice(0, 80));
  return bytes;
}

function parseFileDigest(text: string, path: LayerPath): Digest {
  try {
    return parseDigest(text);
  } catch {
    return refuse("its digest is not sha256: and 64 lower-case hex digits", display(path));
  }
}

function parseXattrs(
  xattrs: readonly ManifestXattr[] | undefined,
  path: LayerPath,
  limits: Limits,
): Map<ByteString, Uint8Array> {
  const parsed = new Map<ByteString, Uint8Array>();
  requireLimit("xattrsMax", xattrs?.length ?? 0, limits.xattrsMax);
  for (const xattr of xattrs ?? []) {
    const name = parseName(xattr.name);
    if (name === "" || /[=\0]/.test(name)) refuse("a tar cannot hold the name of an attribute", display(path));
    if (parsed.has(name)) refuse(`it has the attribute ${display(name)} twice`, display(path));
    const value = parseBase64(xattr.value);
    requireLimit("xattrBytesMax", value.byteLength, limits.xattrBytesMax);
    parsed.set(name, value);
  }
  return new Map([...parsed].sort(([a], [b]) => compareBytes(a, b)));
}

/** Together the entries are one tree: each path once, nothing below what is no directory, links to what is there. */
function requireTree(entries: readonly TreeEntry[]): void {
  const objects = new Map<LayerPath, TreeEntry>();
  const whiteouts = new Set<LayerPath>();
  for (const entry of entries) {
    const isKnown = entry.type === "whiteout" ? whiteouts.has(entry.path) : objects.has(entry.path);
    if (isKnown) refuse("its path is there twice", display(entry.path));
    if (entry.path === ROOT && entry.type !== "dir") refuse("only a directory can be the root", ".");
    if (entry.type === "whiteout") whiteouts.add(entry.path);
    else objects.set(entry.path, entry);
  }
  for (const { path, type, target } of entries) {
    for (const ancestor of ancestorsOf(path)) {
      const above = objects.get(ancestor);
      if (above !== undefined && above.type !== "dir") refuse("it lies below what is no directory", display(path));
    }
    if (type === "hardlink") requireLinkTarget(objects, path, target);
  }
}

function requireLinkTarget(objects: ReadonlyMap<string, TreeEntry>, path: LayerPath, target: ByteString): void {
  const entry = objects.get(target);
  const isFit = entry !== undefined && entry.type !== "dir" && entry.type !== "hardlink";
  if (!isFit || compareBytes(target, path) >= 0) {
    refuse("it is a hard link to what is no earlier file of the manifest", display(path));
  }
}

function requireLimit(limit: string, actual: number, max: number): void {
  if (actual <= max) return;
  throw new StrataError(
    "LIMIT_EXCEEDED",
    `Cannot use the directory's manifest: it passes ${limit} (${max}); raise that limit if the manifest is trusted`,
    { limit, max },
  );
}

function refuse(why: string, entry?: string): never {
  const of = entry === undefined ? "" : ` of "${entry}"`;
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot use the directory's manifest${of}: ${why}; have it made again`,
    { stage: "source", ...(entry === undefined ? {} : { entry }) },
  );
}
