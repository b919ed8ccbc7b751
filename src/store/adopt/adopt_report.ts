// SPDX-License-Identifier: Apache-2.0
/**
 * What adopting is told, and what it tells.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import type { StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";

/** What is to be copied, and from where. */
export interface AdoptOptions {
  /** Path of the root: of Strata, Docker or containers/storage. It is only read. */
  readonly from: string;
  /** What words mean there, or all records, and the layers on top of stacks that have none. */
  readonly refs: readonly string[] | "all";
  /** Aborting ends with `ABORTED`. What was adopted by then stays; of what was under way, nothing. */
  readonly signal?: AbortSignal;
  /** Called with what was done since the last call; it must not throw. */
  readonly onProgress?: (event: AdoptProgress) => void;
  /** Called after each record, with what became of it; it must not throw. */
  readonly onStep?: (step: AdoptStep) => void;
}

/** Work that was done. */
export interface AdoptProgress {
  /** The layer; absent while a writable layer is being packed, whose digest is not known yet. */
  readonly chainId?: ChainId;
  /** Bytes of its archive that were read, or of its files that were shared, since the last call. */
  readonly bytes: number;
}

/** A record that has come. */
export interface AdoptedRecord {
  /** Its id, which is the one that it has there; of a layer without a record, the hex digits of its ChainID. */
  readonly id: RecordId;
  /** The layer that it stands for. */
  readonly chainId: ChainId;
  /** The names that it has here. */
  readonly names: readonly string[];
  /** Those that it has there, and that another record has here, or that can be no name here. */
  readonly droppedNames: readonly string[];
}

/** A record that was here already, for the same layer. Its layers have files of their own now, if they had not. */
export interface PresentRecord {
  /** Its id, here and there. */
  readonly id: RecordId;
  /** The layer that it stands for. */
  readonly chainId: ChainId;
}

/** Something that was left out. */
export interface SkippedRecord {
  /** The record's id, or the writable layer's name. */
  readonly id: string;
  /** Why, for people. */
  readonly reason: string;
}

/** A record that could not be adopted. Nothing of it is left. */
export interface FailedRecord {
  /** The record's id, or the word that was to mean one. */
  readonly id: string;
  /**
   * `CONFLICT`: the id is another layer's here; `CORRUPT`: there it is damaged, or is not what its digest says; `IN_USE`: what
   * stands for it here is mounted; or why else it cannot be.
   */
  readonly error: StrataError;
}

/** What became of one record. */
export type AdoptStep =
  | { readonly kind: "adopted" } & AdoptedRecord
  | { readonly kind: "present" } & PresentRecord
  | { readonly kind: "skipped" } & SkippedRecord
  | { readonly kind: "failed" } & FailedRecord;

/** What adopting has come to; each list in the order in which it was dealt with. */
export interface AdoptReport {
  /** Records that came. */
  readonly adopted: readonly AdoptedRecord[];
  /** Records that were here. */
  readonly present: readonly PresentRecord[];
  /** What was left out. */
  readonly skipped: readonly SkippedRecord[];
  /** What could not come. */
  readonly failed: readonly FailedRecord[];
  /** Bytes of files that have the same blocks as there. */
  readonly bytesShared: number;
  /** Bytes of files that were read and written. */
  readonly bytesCopied: number;
}
