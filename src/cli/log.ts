// SPDX-License-Identifier: Apache-2.0
/**
 * Notices and errors on standard error: a line each for people, a JSON document each for programs.
 *
 * @module
 */
import { styleText } from "node:util";
import { type Failure, failureDocument } from "./failure.ts";
import type { Globals, LogLevel } from "./globals.ts";
import type { OutputStream } from "./io.ts";

const ORDER: readonly LogLevel[] = ["error", "warn", "info", "debug"];
const WORDS = { warn: "warning", info: "note", debug: "debug" } as const;

/** What the colours depend on, beside the terminal. */
export interface LogSettings {
  readonly globals: Globals;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Standard error. */
export class Log {
  readonly #stderr: OutputStream;
  readonly #globals: Globals;
  readonly #color: "on" | "off";

  constructor(stderr: OutputStream, { globals, env }: LogSettings) {
    this.#stderr = stderr;
    this.#globals = globals;
    const wanted = stderr.terminal === "yes" && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
    this.#color = globals.color === "always" || (globals.color === "auto" && wanted) ? "on" : "off";
  }

  /** Says something that is no failure, if the user wants to know. */
  async notice(level: "warn" | "info" | "debug", message: string): Promise<void> {
    if (ORDER.indexOf(level) > ORDER.indexOf(this.#globals.logLevel)) return;
    if (this.#globals.format !== "table") {
      return await this.#write(JSON.stringify({ schema: 1, notice: { level, message } }));
    }
    await this.#write(`${this.#paint(WORDS[level])}: ${oneLine(message)}`);
  }

  /** Says why the command failed. */
  async failure(failure: Failure): Promise<void> {
    if (this.#globals.format !== "table") return await this.#write(JSON.stringify(failureDocument(failure)));
    await this.#write(`${this.#paint("error")}: ${oneLine(failure.message)}`);
    if (failure.hint !== undefined) await this.#write(`hint: ${oneLine(failure.hint)}`);
  }

  async #write(line: string): Promise<void> {
    // When nobody reads standard error any more, there is nobody to tell.
    await this.#stderr.write(`${line}\n`).catch(() => {});
  }

  #paint(word: "error" | "warning" | "note" | "debug"): string {
    if (this.#color === "off") return word;
    const style = word === "error" ? "red" : word === "warning" ? "yellow" : "gray";
    return styleText(style, word, { validateStream: false });
  }
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}
