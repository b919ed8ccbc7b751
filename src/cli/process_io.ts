// SPDX-License-Identifier: Apache-2.0
/**
 * This process's own standard streams and signals, the same way on both runtimes.
 *
 * @module
 */
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { OutputClosed, OutputFailed } from "./errors.ts";
import type { CliIo, EndSignal, OutputStream } from "./io.ts";

/** The real thing. */
export function processIo(): CliIo {
  return {
    env: process.env,
    stdin: {
      get terminal() {
        return process.stdin.isTTY ? "yes" : "no";
      },
      open: () => streamOf(process.stdin),
    },
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    onSignal(listener) {
      const signals: readonly EndSignal[] = ["SIGINT", "SIGTERM"];
      const handlers = signals.map((signal) => [signal, () => listener(signal)] as const);
      for (const [signal, handler] of handlers) process.on(signal, handler);
      return () => {
        for (const [signal, handler] of handlers) process.off(signal, handler);
      };
    },
    program: programOf(process),
    exit: (code) => process.exit(code),
  };
}

/** This runtime, as it was started, on this script. */
function programOf({ execPath, execArgv, argv, versions }: NodeJS.Process): readonly string[] {
  const [, script = ""] = argv;
  return [execPath, ...("deno" in versions ? ["run", "-A", "--quiet"] : execArgv), script];
}

function outputOf(stream: Writable & { readonly isTTY?: boolean }): OutputStream {
  // The callback of each write brings the error; unheard as an event it would end the process.
  stream.on("error", () => {});
  return {
    terminal: stream.isTTY ? "yes" : "no",
    writable: stream,
    async write(data) {
      try {
        await new Promise<void>((resolve, reject) => {
          stream.write(data, (error) => error === undefined || error === null ? resolve() : reject(error));
        });
      } catch (error) {
        throw writeError(error);
      }
    },
  };
}

function writeError(cause: unknown): OutputClosed | OutputFailed {
  const errno = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;
  if (errno === "EPIPE" || errno === "ERR_STREAM_DESTROYED") return new OutputClosed("Cannot write: nobody reads");
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OutputFailed(`Cannot write the output: ${reason}`, { errno, cause });
}

/** Cancelling must end a read that waits, which the iterator's own `return` does not. */
function streamOf(readable: Readable): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = readable[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => void readable.destroy(),
  }, { highWaterMark: 0 });
}
