// SPDX-License-Identifier: Apache-2.0
/**
 * Who owns which name of the catalog: one file per name, whose content is the record's id. Adding a name touches this
 * file and the record, nothing else.
 *
 * A claim counts only when the record exists and lists the name. So a claim is made before the record is written and
 * dropped after: a crash between leaves a claim that is ignored and may be taken over.
 *
 * @module
 */
import { hasCode } from "../../core/errors.ts";
import { parseRecordId, type RecordId } from "../../core/ids.ts";
import { type Durability, syncDir, writeFileAtomic } from "../../host/durable.ts";
import { fromOsError } from "../../host/errno.ts";
import { listNames, removeTreeAt, statPath } from "../../host/files.ts";
import { checkName, nameFile, nameProblem } from "./catalog_name.ts";
import type { StoreLayout } from "../layout.ts";
import { attempt, readRecordText } from "../record_file.ts";
import { ensureRecordDir } from "../staged_files.ts";

/** The claims of one store. Not locked here: writers hold the write lock. */
export class NameClaims {
  readonly #dir: string;
  readonly #durability: Durability;

  constructor(layout: StoreLayout, { durability }: { readonly durability: Durability }) {
    this.#dir = layout.namesDir;
    this.#durability = durability;
  }

  /** Who claims a name; `undefined` when nobody does, or the file is torn. */
  claimant(name: string): RecordId | undefined {
    return nameProblem(name) !== undefined ? undefined : this.claimantIn(nameFile(name));
  }

  /** Who claims the name of a file of {@link NameClaims.files}. */
  claimantIn(file: string): RecordId | undefined {
    const context = { action: `look up a layer's name`, remedy: `run "strata fsck --repair"` };
    try {
      const text = readRecordText(this.path(file), context);
      return text === undefined ? undefined : attempt(() => parseRecordId(text));
    } catch (error) {
      // What is no file at all claims as little as a torn one.
      if (hasCode(error, "CORRUPT")) return undefined;
      throw error;
    }
  }

  /** Claims a name, whoever claimed it before. */
  claim(name: string, id: RecordId): void {
    checkName(name);
    if (this.claimant(name) === id) return;
    try {
      ensureRecordDir(this.#dir, 0o700, this.#durability);
      if (statPath(this.path(nameFile(name)))?.type === "dir") removeTreeAt(this.path(nameFile(name)));
      writeFileAtomic(this.path(nameFile(name)), id, { mode: 0o600, durability: this.#durability });
    } catch (error) {
      throw fromOsError(error, `claim the name "${name}"`);
    }
  }

  /** Drops a claim if it is this record's. */
  release(name: string, id: RecordId): void {
    if (this.claimant(name) === id) this.removeFile(nameFile(name));
  }

  /** Removes a claim by its file. */
  removeFile(file: string): void {
    try {
      removeTreeAt(this.path(file));
      if (this.#durability === "full") syncDir(this.#dir);
    } catch (error) {
      throw fromOsError(error, `drop the claim "${file}"`);
    }
  }

  /** All files of claims, those of unfinished writes (`.tmp-…`) included. */
  files(): string[] {
    try {
      return listNames(this.#dir);
    } catch (error) {
      throw fromOsError(error, "list the layers' names");
    }
  }

  /** Where a claim lies. */
  path(file: string): string {
    return `${this.#dir}/${file}`;
  }
}
