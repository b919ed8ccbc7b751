// SPDX-License-Identifier: Apache-2.0
/**
 * The work that is done in threads, by name. A request and a result are plain data.
 *
 * A job is loaded by the thread that runs it: a thread that decompresses needs a quarter of what all jobs together need, and
 * every thread of an image's loading would otherwise read and compile the rest, too.
 *
 * @module
 */

/** What a job may tell while it runs: bytes that have passed since the last report. */
export type Report = (bytes: number) => void;

/** Every job, to be loaded. */
export const JOBS = {
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
} as const;

/** Name of a job. */
export type JobName = keyof typeof JOBS;
/** What a job is given. */
export type JobRequest<J extends JobName> = Parameters<Job<J>>[0];
/** What a job gives back. */
export type JobResult<J extends JobName> = Awaited<ReturnType<Job<J>>>;

type Job<J extends JobName> = Awaited<ReturnType<(typeof JOBS)[J]>>;
