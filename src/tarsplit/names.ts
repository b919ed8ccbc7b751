// SPDX-License-Identifier: Apache-2.0
/**
 * When two names of an archive are one name. tar-split compares them as Go's `path.Clean` leaves them, and refuses a
 * file with two records of one name.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";

/** The name made lexically shortest: `./a`, `a/` and `x/../a` are `a`; nothing is `.`; `/a` is not `a`. */
export function cleanName(name: ByteString): string {
  const rooted = name.startsWith("/");
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!rooted) parts.push(part);
  }
  const path = parts.join("/");
  if (rooted) return `/${path}`;
  return path === "" ? "." : path;
}
