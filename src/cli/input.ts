// SPDX-License-Identifier: Apache-2.0
/**
 * What the user gave to one command, by the names in its specification. Asking for a name that the specification does
 * not have, or for the wrong form, is a fault of the command and not of the user.
 *
 * @module
 */
import { UsageError } from "./errors.ts";

/** Arguments and options of one call. */
export class Input {
  readonly #arguments: ReadonlyMap<string, unknown>;
  readonly #options: ReadonlyMap<string, unknown>;

  constructor(values: {
    readonly arguments: ReadonlyMap<string, unknown>;
    readonly options: ReadonlyMap<string, unknown>;
  }) {
    this.#arguments = values.arguments;
    this.#options = values.options;
  }

  /** An argument that must be there. */
  word(name: string): string {
    return requireString(this.#arguments.get(name), name);
  }

  /** An argument that may be absent. */
  optionalWord(name: string): string | undefined {
    const value = this.#arguments.get(name);
    return value === undefined ? undefined : requireString(value, name);
  }

  /** The words of an argument that may be many. */
  words(name: string): readonly string[] {
    return requireStrings(this.#arguments.get(name), name);
  }

  /** An option's value; `undefined` when it was not given. */
  text(name: string): string | undefined {
    const value = this.#options.get(name);
    return value === undefined ? undefined : requireString(value, name);
  }

  /** All values of an option that may be repeated. */
  list(name: string): readonly string[] {
    return requireStrings(this.#options.get(name) ?? [], name);
  }

  /** Whether a flag was given. */
  flag(name: string): "given" | "absent" {
    return this.#options.get(name) === true ? "given" : "absent";
  }

  /**
   * An option's value, parsed.
   * @throws {UsageError} when the parser refuses it
   */
  parsed<T>(name: string, parse: (text: string) => T): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new UsageError(`Cannot use --${name}: ${reason}`, { cause });
    }
  }
}

/**
 * `KEY=VALUE` pairs as an object; the last one of a key counts.
 * @throws {UsageError} for one without `=`
 */
export function parsePairs(option: string, pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new UsageError(`Cannot use --${option} "${pair}": expected KEY=VALUE`);
    return [pair.slice(0, equals), pair.slice(equals + 1)];
  }));
}

function requireString(value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`Cannot read ${name}: it is no single value`);
  return value;
}

function requireStrings(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError(`Cannot read ${name}: it is no list`);
  return value.map((item) => requireString(item, name));
}
