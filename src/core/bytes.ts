// SPDX-License-Identifier: Apache-2.0
/**
 * Byte strings: how names, link targets and attribute names from an archive are held in memory.
 *
 * A name in a tar or on a Linux file system is bytes, not text (I5). A `ByteString` is a JavaScript string with
 * one char per byte (U+0000 to U+00FF). It compares and sorts bytewise, works as a `Map` key, costs one byte
 * a char in V8, and nothing is lost. It is never shown to a person: {@link display} is for that.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** @internal */
declare const byteString: unique symbol;
/** @internal */
type Brand = { readonly [byteString]: true };

/** One char per byte, each at most U+00FF. Made by {@link fromBytes} and {@link fromText} only. */
export type ByteString = string & Brand;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes as a byte string. */
export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1") as ByteString;
}

/** The bytes of a byte string, in a fresh array. */
export function toBytes(value: ByteString): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(value.length);
  for (let i = 0; i < value.length; i++) bytes[i] = value.charCodeAt(i);
  return bytes;
}

/** The UTF-8 bytes of a text, as a byte string. */
export function fromText(text: string): ByteString {
  return isAscii(text) ? (text as ByteString) : fromBytes(new TextEncoder().encode(text));
}

/** The text whose UTF-8 form these bytes are; `undefined` when they are not valid UTF-8. */
export function toText(value: ByteString): string | undefined {
  if (isAscii(value)) return value;
  try {
    return strictUtf8.decode(toBytes(value));
  } catch {
    return undefined;
  }
}

/** A form for messages and tables: UTF-8 where it is valid, `\xNN` for other bytes and for control characters. */
export function display(value: ByteString): string {
  const text = toText(value);
  if (text !== undefined) return text.replace(CONTROL, (c) => escapeByte(c.charCodeAt(0)));
  return Array.from(value, (c) => (c >= " " && c <= "~" ? c : escapeByte(c.charCodeAt(0)))).join("");
}

/** Bytewise order, for `Array.prototype.sort`. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

// deno-lint-ignore no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/g;
// deno-lint-ignore no-control-regex -- the whole of ASCII
const ASCII = /^[\u0000-\u007f]*$/;

function isAscii(text: string): boolean {
  return ASCII.test(text);
}

function escapeByte(code: number): string {
  return `\\x${code.toString(16).padStart(2, "0")}`;
}
