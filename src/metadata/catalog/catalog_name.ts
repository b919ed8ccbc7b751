// SPDX-License-Identifier: Apache-2.0
/**
 * Names of catalog records, and the files that claim them.
 *
 * @module
 */
import { digestHex, digestOf } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";

/** Characters (Unicode code points) of a name. */
export const NAME_CHARS_MAX = 255;
/** Bytes of an encoded name that every file system takes, with room for a temporary file's suffix. */
const FILE_NAME_BYTES_MAX = 200;
// deno-lint-ignore no-control-regex -- names are shown in terminals and lists, so control characters are refused
const REFUSED = /[\u0000-\u001f\u007f]/;

/** A change of a record's names. */
export interface NameChange {
  /** `add` puts the names before those that are there, `set` replaces them, `remove` drops them. */
  readonly how: "add" | "set" | "remove";
  /** The names that the change is about. */
  readonly names: readonly string[];
}

/**
 * Checks a name that a person or program gives to a record.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function checkName(name: string): void {
  const problem = nameProblem(name);
  if (problem === undefined) return;
  const shown = JSON.stringify(name.slice(0, 40));
  throw new StrataError("INVALID_ARGUMENT", `Cannot use ${shown} as a layer's name: ${problem}`, { argument: "name" });
}

/** Why a text cannot be a name; `undefined` when it can. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "it is empty";
  if ([...name].length > NAME_CHARS_MAX) return `it has more than ${NAME_CHARS_MAX} characters`;
  if (REFUSED.test(name)) return "it contains a control character";
  if (!isWellFormed(name)) return "it is not valid Unicode";
  return undefined;
}

/**
 * The file that claims a name. Two names never share one: short names are percent-encoded, and the long ones are named
 * by their digest after a `%s` that no percent-encoding contains. The record holds the name itself, so that this
 * never has to be read backwards. For names without a {@link nameProblem} only.
 */
export function nameFile(name: string): string {
  const encoded = encodeURIComponent(name).replace(/^\./, "%2E");
  return encoded.length <= FILE_NAME_BYTES_MAX ? encoded : `%sha256-${digestHex(digestOf(name))}`;
}

/** The names after a change, none twice. */
export function namesAfter(before: readonly string[], { how, names }: NameChange): string[] {
  if (how === "remove") return before.filter((name) => !names.includes(name));
  return [...new Set(how === "set" ? names : [...names, ...before])];
}

/** A lone surrogate has no UTF-8 form. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
