// SPDX-License-Identifier: Apache-2.0
/**
 * TypeScript source seen by a lint rule: with comments blanked, and with the contents of strings blanked too, so that a
 * pattern finds code only. Lines and columns stay where they are.
 *
 * A scanner, not a parser: it knows comments, strings, templates and regular expressions, which is all that can hide or
 * imitate code.
 *
 * @module
 */

/** A source file, read three ways. */
export interface SourceText {
  /** Path from the repository's root, with forward slashes. */
  readonly path: string;
  /** The text as it is. */
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
  /** The text without comments, contents of strings, and regular expressions. */
  readonly bare: string;
}

/** One import or re-export. */
export interface ImportFound {
  readonly specifier: string;
  readonly line: number;
}

/** Comments, strings, templates. A regular expression is told from a division by what stands before it. */
const TOKEN =
  /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`|(?<=(?:^|[(,=:[!&|?{};>\n]|\breturn|=>)\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g;
const IMPORT = /\bfrom\s*"([^"\n]+)"|\bimport\s*\(?\s*"([^"\n]+)"/g;

/** The text, prepared for rules. */
export function readSource(path: string, text: string): SourceText {
  const isComment = (token: string) => token.startsWith("//") || token.startsWith("/*");
  const code = text.replace(TOKEN, (token) => isComment(token) ? blank(token) : token);
  const bare = text.replace(TOKEN, (token) => isComment(token) ? blank(token) : blankInside(token));
  return { path, text, code, bare };
}

/** What the file imports or re-exports, types included. A text about an import, as in a test, is none. */
export function importsOf({ code, bare }: SourceText): ImportFound[] {
  const found = Array.from(code.matchAll(IMPORT)).filter(({ index }) => bare.charAt(index) !== " ");
  return found.map((match) => ({ specifier: match[1] ?? match[2] ?? "", line: lineAt(code, match.index) }));
}

/** The number of the line that holds an offset, from 1. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function blank(token: string): string {
  return token.replace(/[^\n]/g, " ");
}

/** The delimiters stay, so that an empty string is still seen as a value. Templates lose their expressions too. */
function blankInside(token: string): string {
  return token.charAt(0) + blank(token.slice(1, -1)) + token.charAt(token.length - 1);
}
