// SPDX-License-Identifier: Apache-2.0
/**
 * The work that is done in threads, by name. A request and a result are plain data.
 *
 * A job is loaded by the thread that runs it: a thread that decompresses needs a quarter of what all jobs together need, and
 * every thread of an image's loading would otherwise read and compile the rest, too.
 *
 * @module
 */
import type { adoptDiff } from "./jobs/adopt_diff.ts";
import type { changes, diffSize, pack } from "./jobs/changes.ts";
import type { checkContents } from "./jobs/check_contents.ts";
import type { checksum } from "./jobs/checksum.ts";
import type { decode } from "./jobs/decode.ts";
import type { describeDirectory } from "./jobs/describe_directory.ts";
import type { hash } from "./jobs/hash.ts";
import type { packDirectory } from "./jobs/pack_directory.ts";
import type { apply, createReadWrite } from "./jobs/read_write.ts";
import type { seal } from "./jobs/seal.ts";
import type { shareContents } from "./jobs/share_contents.ts";
import type { split } from "./jobs/split.ts";
import type { survey } from "./jobs/survey.ts";
import type { sync } from "./jobs/sync.ts";
import type { takeDirectory } from "./jobs/take_directory.ts";
import type { unpack } from "./jobs/unpack.ts";
import type { verify } from "./jobs/verify.ts";

/** What a job may tell while it runs: bytes that have passed since the last report. */
export type Report = (bytes: number) => void;

/** Every job. */
export interface Jobs {
  readonly adoptDiff: typeof adoptDiff;
  readonly apply: typeof apply;
  readonly changes: typeof changes;
  readonly checkContents: typeof checkContents;
  readonly checksum: typeof checksum;
  readonly createReadWrite: typeof createReadWrite;
  readonly decode: typeof decode;
  readonly describeDirectory: typeof describeDirectory;
  readonly diffSize: typeof diffSize;
  readonly hash: typeof hash;
  readonly pack: typeof pack;
  readonly packDirectory: typeof packDirectory;
  readonly seal: typeof seal;
  readonly shareContents: typeof shareContents;
  readonly split: typeof split;
  readonly survey: typeof survey;
  readonly sync: typeof sync;
  readonly takeDirectory: typeof takeDirectory;
  readonly unpack: typeof unpack;
  readonly verify: typeof verify;
}

/** Name of a job. */
export type JobName = keyof Jobs;
/** What a job is given. */
export type JobRequest<J extends JobName> = Parameters<Jobs[J]>[0];
/** What a job gives back. */
export type JobResult<J extends JobName> = Awaited<ReturnType<Jobs[J]>>;

/** How each job is loaded. */
export const LOADERS: { readonly [J in JobName]: () => Promise<Jobs[J]> } = {
  adoptDiff: async () => (await import("./jobs/adopt_diff.ts")).adoptDiff,
  apply: async () => (await import("./jobs/read_write.ts")).apply,
  changes: async () => (await import("./jobs/changes.ts")).changes,
  checkContents: async () => (await import("./jobs/check_contents.ts")).checkContents,
  checksum: async () => (await import("./jobs/checksum.ts")).checksum,
  createReadWrite: async () => (await import("./jobs/read_write.ts")).createReadWrite,
  decode: async () => (await import("./jobs/decode.ts")).decode,
  describeDirectory: async () => (await import("./jobs/describe_directory.ts")).describeDirectory,
  diffSize: async () => (await import("./jobs/changes.ts")).diffSize,
  hash: async () => (await import("./jobs/hash.ts")).hash,
  pack: async () => (await import("./jobs/changes.ts")).pack,
  packDirectory: async () => (await import("./jobs/pack_directory.ts")).packDirectory,
  seal: async () => (await import("./jobs/seal.ts")).seal,
  shareContents: async () => (await import("./jobs/share_contents.ts")).shareContents,
  split: async () => (await import("./jobs/split.ts")).split,
  survey: async () => (await import("./jobs/survey.ts")).survey,
  sync: async () => (await import("./jobs/sync.ts")).sync,
  takeDirectory: async () => (await import("./jobs/take_directory.ts")).takeDirectory,
  unpack: async () => (await import("./jobs/unpack.ts")).unpack,
  verify: async () => (await import("./jobs/verify.ts")).verify,
};
