// SPDX-License-Identifier: Apache-2.0
/**
 * `strata create`.
 *
 * @module
 */
import type { IdMappings } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import { parsePairs } from "../input.ts";
import type { Invocation } from "../invocation.ts";
import { loadStrata } from "../strata.ts";

/** Makes a writable layer. */
export const create: CommandSpec = {
  name: "create",
  summary: "Make a writable layer, and print its name",
  arguments: [{ name: "NAME", summary: "what it is to be called", count: "one" }],
  options: [
    { name: "parent", value: "REF", summary: "the layer that it sits on; without one it begins empty" },
    { name: "mount-label", value: "LABEL", summary: "the SELinux label of its mounts" },
    { name: "storage-opt", value: "K=V", repeated: "list", summary: "an option of the driver; may be repeated" },
    {
      name: "uid-map",
      value: "C:H:N",
      repeated: "list",
      summary: "N user ids from C inside are those from H outside; may be repeated",
    },
    { name: "gid-map", value: "C:H:N", repeated: "list", summary: "the same for group ids" },
    { name: "template", value: "REF", summary: "a writable layer to begin with" },
  ],
  examples: [
    { line: "strata create work --parent base", does: "a place to work in" },
    { line: "strata mount work", does: "then reach it" },
  ],
  exitCodes: [EXIT.notFound, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  const storageOptions = parsePairs("storage-opt", input.list("storage-opt"));
  await refuseTemplate(invocation);
  const idMappings = await idMappingsOf(invocation);
  await using store = await invocation.openStore();
  const parent = input.text("parent");
  const mountLabel = input.text("mount-label");
  const layer = await store.createRWLayer(input.word("NAME"), {
    ...(parent === undefined ? {} : { parent: store.resolveChain(parent) }),
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(idMappings === undefined ? {} : { idMappings }),
    ...(Object.keys(storageOptions).length === 0 ? {} : { storageOptions }),
  });
  const { name, mountId, created } = layer;
  await output.value(name, { name, parent: layer.parentChainId ?? null, mountId, created: created ?? null });
}

/** A side without a map keeps its ids. */
async function idMappingsOf({ input }: Invocation): Promise<IdMappings | undefined> {
  const [uids, gids] = [input.list("uid-map"), input.list("gid-map")];
  if (uids.length + gids.length === 0) return undefined;
  const { parseIdMapList } = await loadStrata();
  return { uids: parseIdMapList(uids), gids: parseIdMapList(gids) };
}

/** What this version takes note of and cannot do. */
async function refuseTemplate({ input }: Invocation): Promise<void> {
  if (input.text("template") === undefined) return;
  const { StrataError } = await loadStrata();
  const message = "Cannot create the layer with --template: this version does not support it; leave the option out";
  throw new StrataError("NOT_SUPPORTED", message, { feature: "--template" });
}
