// SPDX-License-Identifier: Apache-2.0
/**
 * In which file containers/storage keeps a layer's data item, exactly, oddities and all (containers/storage,
 * `makeBigDataBaseName`). Characters are read up to the first one that is not `.`, a digit or a small letter; that one is
 * read, too, and only if anything is left then, the key is encoded. The name is cleaned as a path.
 *
 * So `Up` lies in `=VXA=`, `plain/` in the file of `plain`, `ü` under its own name, and `???` in `=Pz8`, whose slash went.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Of a file, on all file systems. */
const NAME_BYTES_MAX = 255;
const PLAIN = /^[.0-9a-z]$/;

/** The name of an item's file, one component of a path; `undefined` for keys that cannot have one, as that tool finds, too. */
export function dataFileName(key: string): string | undefined {
  const characters = [...key];
  const odd = characters.findIndex((character) => !PLAIN.test(character));
  const isEncoded = odd >= 0 && odd < characters.length - 1;
  const name = (isEncoded ? `=${Buffer.from(key, "utf8").toString("base64")}` : key).replace(/\/+$/, "");
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) return undefined;
  return Buffer.byteLength(name) > NAME_BYTES_MAX ? undefined : name;
}
