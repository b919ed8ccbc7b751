// SPDX-License-Identifier: Apache-2.0
/**
 * Paths inside a layer. A name from an archive becomes a `LayerPath` or an error exactly once (I5); nothing else
 * from an archive is ever used as a path.
 *
 * @module
 */
import { type ByteString, display } from "./bytes.ts";
import { StrataError } from "./errors.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";

/** @internal */
declare const layerPath: unique symbol;
/** @internal */
type Brand = { readonly [layerPath]: true };

/**
 * A path relative to a layer's root: components joined by `/`, none of them empty, `.` or `..`, no NUL, no slash at
 * either end. The root is the empty string.
 */
export type LayerPath = ByteString & Brand;

/** The layer's root directory. */
export const ROOT: LayerPath = "" as LayerPath;

/** The bounds that a path is checked against. */
export type PathLimits = Pick<Limits, "pathBytesMax" | "componentBytesMax" | "depthMax">;

/**
 * The path that an archive's name means: resolved lexically, with `..` held at the root as in a chroot.
 * @throws {StrataError} `INVALID_ARCHIVE` for a name with a NUL, `LIMIT_EXCEEDED` for one too long or too deep
 */
export function parseLayerPath(name: ByteString, limits: PathLimits = DEFAULT_LIMITS): LayerPath {
  if (name.includes("\0")) {
    throw new StrataError("INVALID_ARCHIVE", `Cannot use the name "${display(name)}": it contains a NUL byte`, {
      stage: "unpack",
      entry: display(name),
    });
  }
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  checkBounds(parts, limits);
  return parts.join("/") as LayerPath;
}

/** The path of a name inside a directory. The name must be a single component, as a directory listing gives it. */
export function joinPath(dir: LayerPath, base: ByteString): LayerPath {
  return (dir === "" ? base : `${dir}/${base}`) as LayerPath;
}

/** The directory that a path lies in; the root for a path of one component, and for the root itself. */
export function parentOf(path: LayerPath): LayerPath {
  const slash = path.lastIndexOf("/");
  return (slash < 0 ? "" : path.slice(0, slash)) as LayerPath;
}

/** The last component; empty for the root. */
export function baseOf(path: LayerPath): ByteString {
  return path.slice(path.lastIndexOf("/") + 1) as ByteString;
}

/** The components, outermost first; none for the root. */
export function componentsOf(path: LayerPath): ByteString[] {
  return path === "" ? [] : (path.split("/") as ByteString[]);
}

/** The steps that a symlink's text takes, in order, `..` kept: what it means depends on where the link stands. */
export function stepsOf(target: ByteString): ByteString[] {
  return target.split("/").filter((step) => step !== "" && step !== ".") as ByteString[];
}

/** Every directory above a path, outermost first, without the root and without the path itself. */
export function ancestorsOf(path: LayerPath): LayerPath[] {
  const ancestors: LayerPath[] = [];
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    ancestors.push(path.slice(0, slash) as LayerPath);
  }
  return ancestors;
}

/** True when `path` is `dir` or lies below it. */
export function isWithin(path: LayerPath, dir: LayerPath): boolean {
  return dir === "" || path === dir || path.startsWith(`${dir}/`);
}

function checkBounds(parts: readonly string[], limits: PathLimits): void {
  let length = Math.max(0, parts.length - 1);
  for (const part of parts) {
    length += part.length;
    if (part.length > limits.componentBytesMax) refuse("componentBytesMax", limits, part);
  }
  if (length >= limits.pathBytesMax) refuse("pathBytesMax", limits, parts.join("/"));
  if (parts.length > limits.depthMax) refuse("depthMax", limits, parts.join("/"));
}

function refuse(limit: keyof PathLimits, limits: PathLimits, name: string): never {
  const entry = display(name.slice(0, 80) as ByteString);
  throw new StrataError("LIMIT_EXCEEDED", `Cannot use the name "${entry}…": it passes ${limit} (${limits[limit]})`, {
    limit,
    max: limits[limit],
    entry,
  });
}
