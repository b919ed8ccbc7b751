// SPDX-License-Identifier: Apache-2.0
/**
 * Stores for one test, and records as Docker writes them by hand.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chainOn } from "../../src/core/chain_id.ts";
import { type ChainId, type DiffId, digestHex, digestOf, parseChainId, parseDiffId } from "../../src/core/digest.ts";
import { type ErrorCode, hasCode } from "../../src/core/errors.ts";
import { randomCacheId } from "../../src/core/ids.ts";
import type { LayerRecord } from "../../src/metadata/layer_record.ts";
import { StoreLayout } from "../../src/metadata/layout.ts";

/** The digest of an empty gzip, as Docker writes an empty tar-split. */
export const EMPTY_GZIP = Uint8Array.from([
  0x1f,
  0x8b,
  8,
  0,
  0,
  0,
  0,
  0,
  0,
  255,
  1,
  0,
  0,
  255,
  255,
  ...Array(8).fill(0),
]);

/** A fresh store that goes when the test ends. */
export function scratchStore(): Disposable & { readonly root: string; readonly layout: StoreLayout } {
  const root = mkdtempSync(join(tmpdir(), "strata-metadata-"));
  return {
    root,
    layout: new StoreLayout(root, "overlay2"),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A made-up DiffID. */
export function diffIdOf(content: string): DiffId {
  return parseDiffId(digestOf(content));
}

/** A made-up ChainID. */
export function chainIdOf(content: string): ChainId {
  return parseChainId(digestOf(content));
}

/** A record that agrees with itself. */
export function recordOf(content: string, parent?: ChainId): LayerRecord {
  const diffId = diffIdOf(content);
  const chainId = chainOn(parent, diffId);
  return { chainId, diffId, ...(parent === undefined ? {} : { parent }), cacheId: randomCacheId(), sizeBytes: 3 };
}

/** Writes a layer as dockerd does; `files` replaces or, with `undefined`, leaves out a file. */
export function writeDockerLayer(
  layout: StoreLayout,
  record: LayerRecord,
  files: Readonly<Record<string, string | undefined>> = {},
): string {
  const dir = join(layout.layersDir, digestHex(record.chainId));
  const all = {
    diff: record.diffId,
    size: String(record.sizeBytes),
    "cache-id": record.cacheId,
    parent: record.parent,
    ...files,
  };
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(all)) if (text !== undefined) writeFileSync(join(dir, name), text);
  writeFileSync(join(dir, "tar-split.json.gz"), EMPTY_GZIP);
  return dir;
}

/** For `assert.throws` and `assert.rejects`: an error of this code whose message has all these parts. */
export function refusal(code: ErrorCode, ...parts: string[]): (error: unknown) => boolean {
  return (error) => {
    if (!hasCode(error, code)) return false;
    const missing = parts.filter((part) => !error.message.includes(part));
    if (missing.length > 0) throw new Error(`"${error.message}" lacks ${missing.join(", ")}`);
    return true;
  };
}
