// SPDX-License-Identifier: Apache-2.0
/**
 * `strata create`.
 *
 * @module
 */
import type { CreateLayerOptions } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import { ID_MAP_OPTIONS, idMappingsOf } from "../id_maps.ts";
import { parsePairs } from "../input.ts";
import type { Invocation } from "../invocation.ts";
import { requireDistinct } from "../record_refs.ts";
import { loadStrata } from "../strata.ts";

/** Makes a writable layer. */
export const create: CommandSpec = {
  name: "create",
  summary: "Make a writable layer, and print its name",
  description:
    "It has a record, as layers have. With --template it begins as a copy: of a writable layer with what that one\n" +
    "changes, and of another layer with what that one holds; it lies on what the template lies on.",
  arguments: [{ name: "NAME", summary: "what it is to be called", count: "one" }],
  options: [
    { name: "parent", value: "REF", summary: "the layer that it sits on; without one it begins empty" },
    { name: "mount-label", value: "LABEL", summary: "the SELinux label of its mounts" },
    { name: "storage-opt", value: "K=V", repeated: "list", summary: "an option of the driver; may be repeated" },
    ...ID_MAP_OPTIONS,
    { name: "template", value: "REF", summary: "a layer or a writable layer to begin with a copy of" },
  ],
  examples: [
    { line: "strata create work --parent base", does: "a place to work in" },
    { line: "strata mount work", does: "then reach it" },
    { line: "strata create again --template work", does: "another one, as the first one is now" },
  ],
  exitCodes: [EXIT.notFound, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output, signal } = invocation;
  const storageOptions = parsePairs("storage-opt", input.list("storage-opt"));
  const idMappings = await idMappingsOf(invocation);
  const [parent, mountLabel, template] = [input.text("parent"), input.text("mount-label"), input.text("template")];
  const mountName = input.word("NAME");
  const called = await recordCalled(mountName);
  await using store = await invocation.openStore();
  await requireDistinct(store, called);
  const record = await store.catalog.create({
    ...called,
    access: "writable",
    mountName,
    ...(parent === undefined ? {} : { parent }),
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(idMappings === undefined ? {} : { idMappings }),
    ...(template === undefined ? {} : { template }),
    ...(Object.keys(storageOptions).length === 0 ? {} : { storageOptions }),
    signal,
  });
  const { name, mountId, parentChainId } = store.getRWLayer(mountName);
  const { id, created } = record;
  await output.value(name, { name, id, parent: parentChainId ?? null, mountId, created });
}

/** The name of a writable layer may be longer than a record's id. */
async function recordCalled(name: string): Promise<Pick<CreateLayerOptions, "id" | "names">> {
  const { parseRecordId } = await loadStrata();
  try {
    return { id: parseRecordId(name) };
  } catch {
    return { names: [name] };
  }
}
