// SPDX-License-Identifier: Apache-2.0
/**
 * Applying a layer's tar to a writable layer.
 *
 * @module
 */
import { layersDirOf } from "../driver/parts/layer_directory.ts";
import type { MountRecord } from "../metadata/mounts.ts";
import { throwIfAborted } from "../stream/signal.ts";
import { ingest } from "../worker/ingest.ts";
import type { ApplyRequest } from "../worker/jobs/read_write.ts";
import { namingRoot, type StoreContext } from "./context.ts";
import { mountTarget, requireFree, unmountTarget } from "./mount.ts";

/** How a tar is applied. */
export interface ApplyDiffOptions {
  /** Aborting changes nothing; once the tar is unpacked and checked, it is applied to its end. */
  readonly signal?: AbortSignal;
  /** Called with the bytes of the stream that were read since the last call. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Applies a tar, compressed or not, to the layer that `find` gives, and gives the bytes it brought. It is unpacked beside
 * the layer first, so that a bad archive changes nothing.
 * @throws {StrataError} `NOT_FOUND`, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `LOCKED`, `ABORTED`; `IN_USE` while it
 *   is mounted, where only attributes tell owners
 */
export async function applyDiff(
  context: StoreContext,
  find: () => MountRecord,
  request: ApplyDiffOptions & { readonly stream: ReadableStream<Uint8Array> },
): Promise<number> {
  try {
    context.dockerd.requireAbsent();
    const record = find();
    return await namingRoot(context, () => applyTo(context, record, request));
  } catch (error) {
    // Who takes a stream owns it, also when it never came to be read.
    if (!request.stream.locked) await request.stream.cancel(error).catch(() => {});
    throw error;
  }
}

async function applyTo(
  context: StoreContext,
  record: MountRecord,
  request: ApplyDiffOptions & { readonly stream: ReadableStream<Uint8Array> },
): Promise<number> {
  const { driver, pool, settings } = context;
  await using staging = context.staging.create("apply");
  const dir = staging.path("0");
  const { stream, ...options } = request;
  const { ownership } = driver.capabilities;
  const idMappings = await driver.idMappingsOf(record.mountId);
  const kept = { destination: layersDirOf(driver), ownership, idMappings, limits: settings.limits };
  const { diffId, changeset } = await ingest(pool, { source: { kind: "stream", stream }, dir, ...kept, ...options });
  throwIfAborted(options.signal);
  await merge(context, record, { dir, diffId, changeset, idMappings });
  return changeset.sizeBytes;
}

/** Through a mount; where attributes tell owners, which mount programs forget, by the driver, while nothing is mounted. */
async function merge(
  context: StoreContext,
  record: MountRecord,
  unpacked: Omit<ApplyRequest, "driver" | "target">,
): Promise<void> {
  const { driver, pool } = context;
  const job = { ...unpacked, driver: driver.spec };
  const layer = { kind: "writable", record } as const;
  if (driver.capabilities.ownership === "recorded") {
    requireFree(context, layer);
    return await pool.run("apply", { ...job, target: { kind: "layer", id: record.mountId } });
  }
  const path = await mountTarget(context, layer, {});
  try {
    await pool.run("apply", { ...job, target: { kind: "tree", path } });
  } finally {
    await unmountTarget(context, layer);
  }
}
