// SPDX-License-Identifier: Apache-2.0
/**
 * A directory for one test, and what tests on files share.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type ByteString, fromBytes, fromText } from "../../src/core/bytes.ts";
import { type LayerPath, parseLayerPath } from "../../src/core/layer_path.ts";
import { isOsError } from "../../src/host/errno.ts";

/** True when the tests may chown, mknod and set trusted attributes. */
export const IS_ROOT = process.geteuid?.() === 0;

/** A fresh directory that goes when the test ends. */
export function scratch(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "strata-host-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A path of a layer, from text. */
export function at(path: string): LayerPath {
  return parseLayerPath(fromText(path));
}

/** A path of a layer, from raw bytes. */
export function atBytes(...bytes: number[]): LayerPath {
  return parseLayerPath(fromBytes(Uint8Array.from(bytes)));
}

/** Text as a byte string. */
export function bytes(text: string): ByteString {
  return fromText(text);
}

/** For `assert.throws`: a failed system call with one of these codes. */
export function withCode(...codes: string[]): (error: unknown) => boolean {
  return (error) => isOsError(error, ...codes);
}
