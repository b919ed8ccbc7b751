// SPDX-License-Identifier: Apache-2.0
/**
 * A directory of the host as a tar.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { fromText } from "../../core/bytes.ts";
import type { DroppedAttribute } from "../../core/dropped_attribute.ts";
import { DropReport } from "../../changeset/drop_report.ts";
import { HostView } from "../../changeset/host_view.ts";
import { packTree } from "../../changeset/pack.ts";
import { fromOsError } from "../../host/errno.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { ChunkSender } from "../chunk_channel.ts";

/** A directory to be packed. */
export interface PackDirectoryRequest {
  readonly path: string;
  /** Names that are left out. */
  readonly exclude: readonly string[];
  readonly unreadable: "fail" | "skip";
  /** Takes the tar's bytes. */
  readonly output: MessagePort;
}

/** What an archive does not hold of the tree that it was made of. Names that were excluded are not counted. */
export interface PackReport {
  /** The first ones. */
  readonly skipped: readonly DroppedAttribute[];
  /** How many there were. */
  readonly skippedCount: number;
}

/** Packs a directory. A failure ends the port with the error, and is thrown. */
export async function packDirectory(request: PackDirectoryRequest): Promise<PackReport> {
  const output = new ChunkSender(request.output);
  const skipped = new DropReport();
  try {
    using view = open(request, skipped);
    for (const chunk of packTree(view, { onSkip: (item) => skipped.add(item) })) await output.send(chunk);
    output.end();
  } catch (error) {
    output.fail(error);
    throw error;
  }
  return { skipped: skipped.listed, skippedCount: skipped.count };
}

function open({ path, exclude, unreadable }: PackDirectoryRequest, skipped: DropReport): HostView {
  try {
    return new HostView(RootedDir.open(path), {
      exclude: new Set(exclude.map(fromText)),
      onUnreadable: unreadable === "skip" ? (item) => skipped.add(item) : undefined,
    });
  } catch (error) {
    throw fromOsError(error, `pack the directory "${path}"`);
  }
}
