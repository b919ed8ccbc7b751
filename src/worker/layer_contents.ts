// SPDX-License-Identifier: Apache-2.0
/**
 * The contents of a layer's files, as rebuilding its archive asks for them.
 *
 * @module
 */
import { parseLayerPath } from "../core/layer_path.ts";
import type { DiffGetter } from "../driver/interfaces/diff_driver.ts";
import { readChunks } from "../host/read_chunks.ts";
import type { ContentSource } from "../tarsplit/assemble.ts";
import type { FileRecord } from "../tarsplit/record.ts";

/** Contents of one layer's files. */
export class LayerContents implements ContentSource {
  readonly #files: Pick<DiffGetter, "openRead">;

  /** The files stay the caller's. */
  constructor(files: Pick<DiffGetter, "openRead">) {
    this.#files = files;
  }

  /**
   * The content of a recorded file.
   * @throws {OsError} when no tree has a regular file of that name
   */
  open(record: FileRecord): Iterable<Uint8Array> {
    return readChunks(this.#files.openRead(parseLayerPath(record.name)));
  }
}
