// SPDX-License-Identifier: Apache-2.0
/**
 * Paths of a layer for output. They are bytes, of which text is one case.
 *
 * @module
 */
import type { LayerPath } from "../../mod.ts";
import type { Strata } from "./strata.ts";

/** Control characters: ASCII's, and as UTF-8 those of U+0080 to U+009F, which drive terminals, too. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]|\u00c2[\u0080-\u009f]/g;

/**
 * A path from the root as bytes between two texts. The name's bytes are kept; those of control characters, which could
 * break a line or drive a terminal, become `\xNN`.
 */
export function pathBytes(
  { fromText, toBytes }: Strata,
  path: LayerPath,
  { before, after }: { readonly before: string; readonly after: string },
): Uint8Array {
  const safe = path.replace(CONTROL, (bytes) => Array.from(bytes, escapeByte).join(""));
  const name = Array.from(safe, (char) => char.charCodeAt(0));
  return new Uint8Array([...toBytes(fromText(`${before}/`)), ...name, ...toBytes(fromText(after))]);
}

function escapeByte(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** A path from the root for a JSON document: as text, and where it is none also as base64 of its bytes. */
export function documentPath(
  { display, toBytes, toText }: Strata,
  path: LayerPath,
): { readonly path: string; readonly pathBase64?: string } {
  const text = toText(path);
  if (text !== undefined) return { path: `/${text}` };
  const binary = String.fromCharCode(0x2f, ...toBytes(path));
  return { path: `/${display(path)}`, pathBase64: btoa(binary) };
}
