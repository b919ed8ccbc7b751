// SPDX-License-Identifier: Apache-2.0
/**
 * Keeping what the tree cannot give back: contents that a later member of the same archive replaced are moved from
 * the displaced directory into the layer's tar-split file (I6).
 *
 * Rare, so it may read the whole tar-split file: headers only, a few hundred bytes a member.
 *
 * @module
 */
import type { LostContent } from "../changeset/change.ts";
import { gzipMember } from "../compression/gzip.ts";
import { removeTreeAt, renamePath } from "../host/files.ts";
import { readChunks } from "../host/read_chunks.ts";
import { RootedDir } from "../host/rooted_dir.ts";
import { SplitWriter } from "../tarsplit/file.ts";
import { inlinePayloads } from "../tarsplit/inline.ts";
import { readTarSplit } from "./tar_split_file.ts";
import type { StagedLayer } from "./staged_layer.ts";

/**
 * Writes the tar-split file again, lost contents inside. `positions` tells, by member, which record has its content;
 * a member without one was kept whole in the first place.
 */
export async function inlineLost(
  staged: StagedLayer,
  lost: readonly LostContent[],
  positions: readonly (number | undefined)[],
): Promise<void> {
  const keptByPosition = new Map<number, LostContent>();
  for (const content of lost) {
    const position = positions[content.entryIndex];
    if (position !== undefined) keptByPosition.set(position, content);
  }
  if (keptByPosition.size === 0) return;

  const aside = `${staged.tarSplitPath}.first`;
  renamePath(staged.tarSplitPath, aside, { replace: "never" });
  using displaced = RootedDir.open(staged.displacedDir);
  using file = staged.createTarSplit();
  const writer = new SplitWriter({ compress: (bytes) => gzipMember(bytes), sink: (bytes) => file.write(bytes) });
  const records = await readTarSplit(aside);
  for (const record of inlinePayloads(records, (position) => contentOf(displaced, keptByPosition.get(position)))) {
    writer.write(record);
  }
  writer.end();
  removeTreeAt(aside);
}

function contentOf(displaced: RootedDir, content: LostContent | undefined): Iterable<Uint8Array> | undefined {
  return content === undefined ? undefined : readChunks(displaced.openRead(content.keptAs));
}
