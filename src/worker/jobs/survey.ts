// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer's tar-split tells of its archive.
 *
 * @module
 */
import type { ArchiveFacts } from "../../tarsplit/survey.ts";
import { surveyTarSplit } from "../tar_split_file.ts";

/** A tar-split to be read. */
export interface SurveyRequest {
  readonly tarSplitPath: string;
}

/**
 * Reads a tar-split through.
 * @throws {StrataError} `CORRUPT` or `INVALID_ARCHIVE` when the file is damaged
 */
export async function survey({ tarSplitPath }: SurveyRequest): Promise<ArchiveFacts> {
  return await surveyTarSplit(tarSplitPath);
}
