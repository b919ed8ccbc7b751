// SPDX-License-Identifier: Apache-2.0
/**
 * Making a layer out of a directory of the host.
 *
 * @module
 */
import type { PackReport } from "../worker/jobs/pack_directory.ts";
import { packDirectoryStream } from "../worker/pack_stream.ts";

export type { PackReport } from "../worker/jobs/pack_directory.ts";

/** How a directory is packed. */
export interface PackDirectoryOptions {
  /** Names that are left out wherever they stand, with all that lies below: `[".git", "node_modules"]`. */
  readonly exclude?: readonly string[];
  /** What to do with what this user may not read: fail (the default), or leave it out. */
  readonly unreadable?: "fail" | "skip";
  /** Called once the archive is complete, with what it does not hold. */
  readonly onEnd?: (report: PackReport) => void;
}

/**
 * A directory as a layer's tar, the directory itself included: the same bytes for the same tree. It is packed in a
 * thread; cancelling the stream ends that.
 *
 * The stream fails with a {@link StrataError} when something cannot be read, or changes while it is.
 *
 * @example Keep a directory as a layer
 * ```ts
 * import { LayerStore, packDirectory } from "@strata/layers";
 *
 * const root = `/tmp/strata-example-${crypto.randomUUID()}`;
 * await using store = await LayerStore.open({ root, runRoot: `${root}-run`, driver: "vfs" });
 * const layer = await store.register(packDirectory("src", { exclude: ["node_modules"] }));
 * console.log(layer.diffSizeBytes > 0); // true
 * ```
 */
export function packDirectory(path: string, options: PackDirectoryOptions = {}): ReadableStream<Uint8Array> {
  const { exclude = [], unreadable = "fail", onEnd = () => {} } = options;
  return packDirectoryStream({ path, exclude, unreadable }, onEnd);
}
