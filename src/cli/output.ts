// SPDX-License-Identifier: Apache-2.0
/**
 * Data on standard output, in the form that the user chose. Every JSON document carries its schema's number.
 *
 *   table   for people: a table, or a line for each value
 *   json    one document, indented
 *   jsonl   one document for each item, a line each
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Globals } from "./globals.ts";
import type { OutputStream } from "./io.ts";
import { type Column, tableText } from "./table.ts";

/** Number of the documents' schema. It changes when a field changes its meaning or goes away. */
export const SCHEMA = 1;

/** Lines that are written at once. */
const BATCH_LINES = 1000;

/** Items of one kind, and how they are printed. */
export interface Listing<T> {
  /** The field of the JSON document that holds the items. */
  readonly key: string;
  readonly items: readonly T[];
  /** An item for programs. */
  document(item: T): object;
}

/** Items that are printed as a table. */
export interface TableListing<T> extends Listing<T> {
  readonly columns: readonly Column<T>[];
  /** What `--quiet` leaves of an item. */
  id(item: T): string;
}

/** Items that are printed as a line each. */
export interface LineListing<T> extends Listing<T> {
  /** The line: text, which the newline is added to, or bytes with it. */
  line(item: T): string | Uint8Array;
}

/** Standard output. */
export class Output {
  readonly #stdout: OutputStream;
  readonly #globals: Globals;

  constructor(stdout: OutputStream, globals: Globals) {
    this.#stdout = stdout;
    this.#globals = globals;
  }

  /** One value: a line for people (none for an empty text), a document for programs. */
  async value(text: string, document: object): Promise<void> {
    if (this.#globals.format !== "table") return await this.#json({ schema: SCHEMA, ...document });
    if (text !== "") await this.#stdout.write(`${text}\n`);
  }

  /** Items as a table. */
  async table<T>(listing: TableListing<T>): Promise<void> {
    if (this.#globals.format !== "table") return await this.#documents(listing);
    const { columns, items, id } = listing;
    const ids = () => items.map((item) => `${id(item)}\n`).join("");
    await this.#stdout.write(this.#globals.volume === "quiet" ? ids() : tableText(columns, items));
  }

  /** Items as lines. */
  async lines<T>(listing: LineListing<T>): Promise<void> {
    if (this.#globals.format !== "table") return await this.#documents(listing);
    await this.#batches(listing.items, listing.line);
  }

  /** Items as a JSON array, whatever form was chosen; only `jsonl` prints them apart. */
  async array(items: readonly object[]): Promise<void> {
    const documents = items.map((item) => ({ schema: SCHEMA, ...item }));
    if (this.#globals.format !== "jsonl") return await this.#json(documents);
    for (const document of documents) await this.#json(document);
  }

  /** Text as it is. */
  async text(text: string): Promise<void> {
    await this.#stdout.write(text);
  }

  /** A stream of bytes as it is, as fast as they are taken. */
  async bytes(stream: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const reader = stream.getReader();
    const onAbort = (): void => void reader.cancel(signal.reason).catch(() => {});
    signal.addEventListener("abort", onAbort);
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        await this.#stdout.write(next.value);
      }
      signal.throwIfAborted();
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #documents<T>({ key, items, document }: Listing<T>): Promise<void> {
    if (this.#globals.format === "json") return await this.#json({ schema: SCHEMA, [key]: items.map(document) });
    await this.#batches(items, (item) => JSON.stringify({ schema: SCHEMA, ...document(item) }));
  }

  /** Lines, many in one write: lists can have millions. */
  async #batches<T>(items: readonly T[], line: (item: T) => string | Uint8Array): Promise<void> {
    const encoder = new TextEncoder();
    for (let start = 0; start < items.length; start += BATCH_LINES) {
      const parts = items.slice(start, start + BATCH_LINES).map((item) => {
        const text = line(item);
        return typeof text === "string" ? encoder.encode(`${text}\n`) : text;
      });
      await this.#stdout.write(Buffer.concat(parts));
    }
  }

  async #json(document: object): Promise<void> {
    const indent = this.#globals.format === "jsonl" ? undefined : 2;
    await this.#stdout.write(`${JSON.stringify(document, undefined, indent)}\n`);
  }
}
