// SPDX-License-Identifier: Apache-2.0
/**
 * Which layer a blob holds: Docker's `distribution/diffid-by-digest`. By it dockerd knows without a download that a layer
 * it is to pull is here (moby, distribution/metadata/v2_metadata_service.go).
 *
 * A memory, not a reference: nobody lives by it, and it outlives its layer, as in Docker. So it is not synced; dockerd
 * downloads again what it cannot read here.
 *
 * @module
 */
import { dirname } from "node:path";
import type { DiffId, Digest } from "../core/digest.ts";
import { writeFileAtomic } from "../host/durable.ts";
import { fromOsError } from "../host/errno.ts";
import type { StoreLayout } from "./layout.ts";
import { ensureRecordDir } from "./staged_files.ts";
import type { WriteLock } from "./write_lock.ts";

/** A blob and the digest of what it decompresses to, both of them computed from the bytes. */
export interface BlobDiffId {
  readonly blob: Digest;
  readonly diffId: DiffId;
}

/** Notes which layer a blob holds. */
export function noteDiffId(lock: WriteLock, layout: StoreLayout, { blob, diffId }: BlobDiffId): void {
  lock.assertCovers(layout);
  const path = layout.diffIdPath(blob);
  try {
    ensureRecordDir(dirname(path), 0o755, "none");
    writeFileAtomic(path, diffId, { mode: 0o644, durability: "none" });
  } catch (error) {
    throw fromOsError(error, `note which layer blob ${blob} holds`);
  }
}
