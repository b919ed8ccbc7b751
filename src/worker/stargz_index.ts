// SPDX-License-Identifier: Apache-2.0
/**
 * The member that is an eStargz layer's table of contents: the last one, a regular file of this name. stargz-snapshotter,
 * docs/estargz.md, "TOC, TOCEntries and Footer".
 *
 * @module
 */
import { fromText } from "../core/bytes.ts";
import { type Digest, DigestWriter } from "../core/digest.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";

const INDEX_NAME = fromText("stargz.index.json");

/** Watches the members of an archive go by. */
export class StargzIndex implements TarHandler {
  #hash: DigestWriter | undefined;
  #digest: Digest | undefined;

  /** Headers are of no interest. */
  segment(): void {}

  /** A member begins. */
  entry(entry: TarEntry): void {
    this.#digest = undefined;
    this.#hash = entry.type === "file" && entry.name === INDEX_NAME ? new DigestWriter() : undefined;
  }

  /** The next bytes of its payload. */
  data(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
  }

  /** Its payload is complete. */
  endEntry(): void {
    this.#digest = this.#hash?.finish();
    this.#hash = undefined;
  }

  /** What the last member was is known already. */
  end(): void {}

  /** Digest of the table, when the last member so far is one. */
  get digest(): Digest | undefined {
    return this.#digest;
  }
}
