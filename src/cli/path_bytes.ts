// SPDX-License-Identifier: Apache-2.0
/**
 * Paths of a layer for output. They are bytes, of which text is one case.
 *
 * @module
 */
import type { LayerPath } from "../../mod.ts";
import type { Strata } from "./strata.ts";

/**
 * A path from the root as bytes between two texts. The name's bytes are kept; control characters, which could break a
 * line or drive a terminal, become `\xNN`.
 */
export function pathBytes(
  { fromText, toBytes }: Strata,
  path: LayerPath,
  { before, after }: { readonly before: string; readonly after: string },
): Uint8Array {
  // deno-lint-ignore no-control-regex -- control characters are what it looks for
  const safe = path.replace(/[\u0000-\u001f\u007f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
  const bytes = Array.from(safe, (c) => c.charCodeAt(0));
  return new Uint8Array([...toBytes(fromText(`${before}/`)), ...bytes, ...toBytes(fromText(after))]);
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
