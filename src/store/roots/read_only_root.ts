// SPDX-License-Identifier: Apache-2.0
/**
 * Roots that are only read: further stores whose layers can be used and are never changed. Nothing at all is written below
 * one, not even a lock file: it may lie on read-only media, and another tool may be at work there.
 *
 * They are looked up after the store's own root, in the order in which they were given.
 *
 * @module
 */
import type { RecordId } from "../../core/ids.ts";
import type { ReadingContext } from "../reading.ts";

/** Whose layout a root has: this package's or Docker's, which are the same, or that of podman, buildah and skopeo. */
export type RootKind = "strata" | "containers-storage";

/** An open root that is only read. */
export interface ReadOnlyRoot {
  /** Absolute, without symlinks. */
  readonly path: string;
  readonly kind: RootKind;
  /** What the reading verbs work with there. */
  readonly reading: ReadingContext;
  /**
   * The same root with an eye to one record: where several records there stand for one layer, each with files of its own,
   * it is this one's files that are read.
   */
  about(id: RecordId): ReadOnlyRoot;
  /**
   * One of a record's data items.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` when it is not what was recorded
   */
  bigData(id: RecordId, key: string): ReadableStream<Uint8Array>;
}
