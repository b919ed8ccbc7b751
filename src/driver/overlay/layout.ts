// SPDX-License-Identifier: Apache-2.0
/**
 * Where the overlay driver keeps what. It is the layout of Docker's overlay2 driver, so that each opens the other's home.
 *
 *   overlay2/              0710
 *     l/                   0700
 *       <26 chars>         symlink to ../<id>/diff; a short name, so that many names fit into one mount
 *     <id>/                0710
 *       diff/              the layer's own files, whiteouts in the kernel's form
 *       link               the layer's short name
 *       lower              only with a parent: "l/AAA…:l/BBB…", the topmost first
 *       work/              only with a parent: 0700, for the kernel
 *       merged/            0700, only while mounted
 *       committed          empty; the layer is read-only
 *     .unfinished-<id>/    this package's own: a layer that is being made
 *
 * @module
 */
import { hasCode, isStrataError, StrataError } from "../../core/errors.ts";
import { type CacheId, parseCacheId } from "../../core/ids.ts";
import { fromText, toText } from "../../core/bytes.ts";
import { parseLayerPath } from "../../core/layer_path.ts";
import { fromOsError, isOsError } from "../../host/errno.ts";
import { listNames, readText } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";

declare const linkName: unique symbol;

/** A layer's short name: 26 characters of base32. */
export type LinkName = string & { readonly [linkName]: true };

/** Directory of the short names, in the home. */
export const LINKS = "l";

const LINK_BYTES = 17;
const LINK_CHARS = 26;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const LINK = /^[A-Z2-7]{26}$/;
const LINK_TARGET = /^\.\.\/([^/]+)\/diff\/?$/;

/** A fresh short name: 130 random bits. */
export function randomLinkName(): LinkName {
  const bytes = crypto.getRandomValues(new Uint8Array(LINK_BYTES));
  let bits = 0;
  let held = 0;
  let name = "";
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    held += 8;
    for (; held >= 5; held -= 5) name += BASE32[(bits >> (held - 5)) & 31];
    bits &= (1 << held) - 1;
  }
  return name.slice(0, LINK_CHARS) as LinkName;
}

/**
 * The short name that a layer's directory states.
 * @throws {StrataError} `CORRUPT` when it states none
 */
export function readLinkName(dir: string): LinkName {
  const path = `${dir}/link`;
  const text = textOf(path);
  if (text === undefined) throw corrupt(path, "the file is missing");
  return parseLinkName(text, path);
}

/** The short name that a layer's directory states, if it does. For removal, which must not stop at damage. */
export function findLinkName(dir: string): LinkName | undefined {
  const text = attempt(() => textOf(`${dir}/link`));
  return text !== undefined && isLinkName(text) ? text : undefined;
}

/**
 * Paths of the layers below, relative to the home, as a layer's directory states them: `l/<short name>`, topmost
 * first; none for a base layer.
 * @throws {StrataError} `CORRUPT` when the file says something else
 */
export function readLowers(dir: string): readonly string[] {
  const path = `${dir}/lower`;
  const text = textOf(path);
  if (text === undefined || text === "") return [];
  return text.split(":").map((item) => {
    if (!item.startsWith(`${LINKS}/`)) throw corrupt(path, `"${item.slice(0, 100)}" is no short name`);
    return lowerOf(parseLinkName(item.slice(LINKS.length + 1), path));
  });
}

/** How `lower` and mounts name a layer. */
export function lowerOf(link: LinkName): string {
  return `${LINKS}/${link}`;
}

/** What a short name's symlink says. */
export function linkTarget(id: CacheId): string {
  return `../${id}/diff`;
}

/**
 * The layers that paths of the form `l/<short name>` lead to.
 * @throws {StrataError} `CORRUPT` when one leads elsewhere, or nowhere
 */
export function resolveLowers(home: string, lowers: readonly string[]): readonly CacheId[] {
  if (lowers.length === 0) return [];
  using root = RootedDir.open(home);
  return lowers.map((lower) => {
    const path = parseLayerPath(fromText(lower));
    if (root.stat(path)?.type !== "symlink") throw corrupt(`${home}/${lower}`, "the symlink is missing");
    return parseLinkTarget(toText(root.readlink(path)) ?? "", `${home}/${lower}`);
  });
}

/** The layer that a short name leads to; `undefined` when it leads nowhere, or out of the home. */
export function findLinked(home: string, link: LinkName): CacheId | undefined {
  try {
    return resolveLowers(home, [lowerOf(link)])[0];
  } catch (error) {
    if (hasCode(error, "CORRUPT")) return undefined;
    throw error;
  }
}

/** All short names that a home has. */
export function listLinkNames(home: string): LinkName[] {
  return listNames(`${home}/${LINKS}`).filter(isLinkName);
}

/** The short names by which a layer's directory knows the layers below it, topmost first; what is no name is left out. */
export function readLinksBelow(dir: string): LinkName[] {
  const text = attempt(() => textOf(`${dir}/lower`)) ?? "";
  return text.split(":").map((lower) => lower.slice(LINKS.length + 1)).filter(isLinkName);
}

/** A small file of the layout's; `undefined` when there is none. */
function textOf(path: string): string | undefined {
  try {
    return readText(path);
  } catch (error) {
    if (isOsError(error, "ELOOP", "EISDIR", "ENXIO")) throw corrupt(path, "it is no regular file", error);
    throw fromOsError(error, `read "${path}"`);
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isStrataError(error)) return undefined;
    throw error;
  }
}

/** A file of the layout is not what it must be. */
function corrupt(path: string, reason: string, cause?: unknown): StrataError<"CORRUPT"> {
  return new StrataError("CORRUPT", `Cannot use "${path}": ${reason}; remove the layer and fetch it again`, { path }, {
    cause,
  });
}

function parseLinkName(text: string, path: string): LinkName {
  if (!isLinkName(text)) throw corrupt(path, `"${text.slice(0, 100)}" is no short name`);
  return text;
}

function isLinkName(text: string): text is LinkName {
  return LINK.test(text);
}

function parseLinkTarget(target: string, path: string): CacheId {
  const id = LINK_TARGET.exec(target)?.[1] ?? "";
  try {
    return parseCacheId(id);
  } catch (cause) {
    throw corrupt(path, `it leads to "${target.slice(0, 100)}"`, cause);
  }
}
