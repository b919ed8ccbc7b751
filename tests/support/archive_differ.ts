// SPDX-License-Identifier: Apache-2.0
/**
 * Differs for tests: what a partial pull brings of an archive that is known.
 *
 * @module
 */
import { toBytes } from "../../src/core/bytes.ts";
import { type DiffId, digestOf, parseDiffId } from "../../src/core/digest.ts";
import { ancestorsOf, type LayerPath, parseLayerPath } from "../../src/core/layer_path.ts";
import type { RootedDir } from "../../src/host/rooted_dir.ts";
import { type LayerMember, layerTar } from "../../src/testing/layer_builder.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { encodeRecord } from "../../src/tarsplit/codec.ts";
import { Splitter } from "../../src/tarsplit/split.ts";
import type { Differ, DifferOptions, DifferOutput } from "../../mod.ts";
import { streamOf } from "./scratch_store.ts";

/** The archive's tar-split, uncompressed. */
export function tarSplitOf(tar: Uint8Array): Uint8Array {
  const lines: string[] = [];
  const reader = new TarReader(new Splitter((record) => lines.push(encodeRecord(record, lines.length))));
  reader.push(tar);
  reader.end();
  return new TextEncoder().encode(lines.join(""));
}

/** The archive's digest. */
export function diffIdOf(tar: Uint8Array): DiffId {
  return parseDiffId(digestOf(tar));
}

/** Makes a file with all directories on the way. */
export function putContent(target: RootedDir, path: LayerPath, content: Uint8Array): void {
  for (const above of ancestorsOf(path)) if (target.stat(above) === undefined) target.mkdir(above, 0o700);
  using file = target.create(path, 0o600);
  file.write(content);
}

/** What a differ of {@link archiveDiffer} does otherwise. */
export interface ArchiveDifferOptions {
  /** Done to the target when its contents are there. */
  readonly tamper?: (target: RootedDir, options: DifferOptions) => void | Promise<void>;
  /** In place of what it tells. */
  readonly output?: DifferOutput;
}

/** Brings the contents of an archive's files, and its tar-split. */
export function archiveDiffer(members: readonly LayerMember[], { tamper, output }: ArchiveDifferOptions = {}): Differ {
  const tar = layerTar(members);
  return {
    async applyDiff(target, options) {
      for (const { name, type, content } of members) {
        const path = parseLayerPath(name);
        if (type !== "file" || content === undefined || content.length === 0 || toBytes(name).length === 0) continue;
        if (target.stat(path) === undefined) putContent(target, path, content);
      }
      await tamper?.(target, options);
      return { diffId: diffIdOf(tar), tarSplit: streamOf(tarSplitOf(tar)), ...output };
    },
  };
}
