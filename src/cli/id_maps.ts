// SPDX-License-Identifier: Apache-2.0
/**
 * Id maps on the command line.
 *
 * @module
 */
import type { IdMappings } from "../../mod.ts";
import type { OptionSpec } from "./command.ts";
import type { Invocation } from "./invocation.ts";
import { loadStrata } from "./strata.ts";

/** Under which ids a layer is shown. */
export const ID_MAP_OPTIONS: readonly OptionSpec[] = [
  {
    name: "uid-map",
    value: "C:H:N",
    repeated: "list",
    summary: "N user ids from C inside are those from H outside; may be repeated",
  },
  { name: "gid-map", value: "C:H:N", repeated: "list", summary: "the same for group ids" },
];

/**
 * What the options say; `undefined` when they say nothing. A side without a map keeps its ids.
 * @throws {StrataError} `INVALID_ARGUMENT` for what is no map
 */
export async function idMappingsOf({ input }: Invocation): Promise<IdMappings | undefined> {
  const [uids, gids] = [input.list("uid-map"), input.list("gid-map")];
  if (uids.length + gids.length === 0) return undefined;
  const { parseIdMapList } = await loadStrata();
  return { uids: parseIdMapList(uids), gids: parseIdMapList(gids) };
}
