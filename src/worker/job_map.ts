// SPDX-License-Identifier: Apache-2.0
/**
 * The work that is done in threads, by name. A request and a result are plain data.
 *
 * @module
 */
import { adoptDiff } from "./jobs/adopt_diff.ts";
import { changes, diffSize, pack } from "./jobs/changes.ts";
import { checkContents } from "./jobs/check_contents.ts";
import { checksum } from "./jobs/checksum.ts";
import { decode } from "./jobs/decode.ts";
import { describeDirectory } from "./jobs/describe_directory.ts";
import { hash } from "./jobs/hash.ts";
import { packDirectory } from "./jobs/pack_directory.ts";
import { apply, createReadWrite } from "./jobs/read_write.ts";
import { seal } from "./jobs/seal.ts";
import { shareContents } from "./jobs/share_contents.ts";
import { split } from "./jobs/split.ts";
import { survey } from "./jobs/survey.ts";
import { sync } from "./jobs/sync.ts";
import { takeDirectory } from "./jobs/take_directory.ts";
import { unpack } from "./jobs/unpack.ts";
import { verify } from "./jobs/verify.ts";

/** What a job may tell while it runs: bytes that have passed since the last report. */
export type Report = (bytes: number) => void;

/** Every job. */
export const JOBS = {
  adoptDiff,
  apply,
  changes,
  checkContents,
  checksum,
  createReadWrite,
  decode,
  describeDirectory,
  diffSize,
  hash,
  pack,
  packDirectory,
  seal,
  shareContents,
  split,
  survey,
  sync,
  takeDirectory,
  unpack,
  verify,
} as const;

/** Name of a job. */
export type JobName = keyof typeof JOBS;
/** What a job is given. */
export type JobRequest<J extends JobName> = Parameters<(typeof JOBS)[J]>[0];
/** What a job gives back. */
export type JobResult<J extends JobName> = Awaited<ReturnType<(typeof JOBS)[J]>>;
