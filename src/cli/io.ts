// SPDX-License-Identifier: Apache-2.0
/**
 * What the command line touches of its process. Tests give another one.
 *
 * @module
 */
import type { Writable } from "node:stream";

/** The signals that end an operation. */
export type EndSignal = "SIGINT" | "SIGTERM";

/** Standard input. */
export interface InputStream {
  readonly terminal: "yes" | "no";
  /** Its bytes; to be called once. */
  open(): ReadableStream<Uint8Array>;
}

/** Standard output or standard error. */
export interface OutputStream {
  readonly terminal: "yes" | "no";
  /**
   * Writes, and waits until the bytes are on their way.
   * @throws {OutputClosed} when nobody reads any more
   */
  write(data: string | Uint8Array): Promise<void>;
  /** For libraries that draw on a terminal. */
  readonly writable: Writable;
}

/** The process around a command. */
export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Calls back for each signal, until the function that it returns is called. */
  onSignal(listener: (signal: EndSignal) => void): () => void;
  /** The program and arguments that run this command line; absent when something else runs it, as a test. */
  readonly program?: readonly string[];
  /** Ends the process at once. */
  exit(code: number): void;
}
