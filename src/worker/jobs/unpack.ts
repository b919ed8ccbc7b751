// SPDX-License-Identifier: Apache-2.0
/**
 * The second half of taking a layer in: from the archive's bytes to a staged tree and its tar-split.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import type { IdMappings } from "../../core/id_map.ts";
import type { Limits } from "../../core/limits.ts";
import type { Ownership } from "../../changeset/change.ts";
import { chunksFrom, stopChunks } from "../chunk_channel.ts";
import { LayerPipeline, type UnpackedLayer } from "../layer_pipeline.ts";
import { StagedLayer } from "../staged_layer.ts";

/** A layer to be unpacked from a port. */
export interface UnpackRequest {
  readonly input: MessagePort;
  /** The layer's own directory below a staging directory; made here. */
  readonly dir: string;
  /** Where it is to lie in the end: the directory of the driver's layers. */
  readonly destination: string;
  readonly ownership: Ownership;
  /** Under which ids its owners are kept. Absent: under their own. */
  readonly idMappings?: IdMappings | undefined;
  readonly limits: Limits;
}

/** Unpacks a layer by itself, without a look at the layers below. Any failure stops the sender. */
export async function unpack(request: UnpackRequest): Promise<UnpackedLayer> {
  const chunks = chunksFrom(request.input);
  try {
    using pipeline = new LayerPipeline(StagedLayer.create(request.dir, request.destination), request);
    for await (const chunk of chunks) pipeline.push(chunk);
    return await pipeline.finish();
  } finally {
    stopChunks(request.input);
  }
}
