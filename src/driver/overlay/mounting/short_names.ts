// SPDX-License-Identifier: Apache-2.0
/**
 * Names so short that the highest stack fits into one mount's options.
 *
 * `l/<26 characters>` costs 29 bytes a layer, and a page holds about 135 of them. Overlayfs looks its lowers up when it
 * is mounted and never again, so a directory that lives as long as the mount(8) that runs in it can give each of them a
 * name of one or two characters: 500 take less than half a page.
 *
 * @module
 */
import { randomId } from "../../../core/ids.ts";
import { ensureDir, makeSymlink, removeTreeAt } from "../../../host/files.ts";

/** Begins the names of the directories, in the driver's home. */
export const SHORT_NAMES_PREFIX = ".overlay-names-";

const MODE = 0o700;
/** Digits and lower case letters: all mean themselves in a mount's options. */
const RADIX = 36;

/** A directory with a short name for each of a stack's layers. */
export class ShortNames implements Disposable {
  /** Where the names are: in the home, so that `..` leads there. */
  readonly dir: string;

  /**
   * Gives paths that are relative to the home the names of {@link shortNames}, in that order.
   * @throws {OsError} when the home cannot be written; nothing is left behind then
   */
  constructor(home: string, paths: readonly string[]) {
    this.dir = `${home}/${SHORT_NAMES_PREFIX}${randomId()}`;
    ensureDir(this.dir, MODE);
    try {
      shortNames(paths.length).forEach((name, index) => makeSymlink(`${this.dir}/${name}`, `../${paths[index]}`));
    } catch (error) {
      removeTreeAt(this.dir);
      throw error;
    }
  }

  /** Removes the directory. Mounts made from it stay. */
  [Symbol.dispose](): void {
    removeTreeAt(this.dir);
  }
}

/** As many different names, the shortest there are. */
export function shortNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => index.toString(RADIX));
}
