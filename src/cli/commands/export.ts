// SPDX-License-Identifier: Apache-2.0
/**
 * `strata export`.
 *
 * @module
 */
import type { ChainId, LayerStore } from "../../../mod.ts";
import { ARCHIVE_OPTIONS, archiveTarget, sendArchive } from "../archives.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { ownFilesOf } from "../record_refs.ts";
import { loadStrata } from "../strata.ts";

/** Gives a layer's tar back. */
export const exportLayer: CommandSpec = {
  name: "export",
  summary: "Give a layer's tar back, byte for byte what was registered",
  description:
    "A damaged layer makes it fail; it never ends well with other bytes. With --from the layers above the one\n" +
    "named are merged into one tar, which is not byte-exact but the same everywhere.",
  arguments: [{ name: "REF", summary: "the layer", count: "one" }],
  options: [...ARCHIVE_OPTIONS, { name: "from", value: "REF", summary: "a layer below: merge all that lies above it" }],
  examples: [
    { line: "strata export base -o base.tar", does: "into a file, which appears when it is whole" },
    { line: "strata export base --compress zstd | ssh host strata register", does: "to another machine" },
    { line: "strata export top --from base -o change.tar", does: "several layers as one" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input } = invocation;
  const to = archiveTarget(invocation);
  await using store = await invocation.openStore();
  const ref = input.word("REF");
  const chainId = store.resolveChain(ref);
  const from = input.text("from");
  if (from !== undefined) await requireAncestor(store, { ref, from });
  await holdIfOwn(store, chainId);
  const stream = from === undefined ? store.export(chainId, ownFilesOf(store, ref)) : store.diff(ref, from);
  await sendArchive(invocation, { stream, to, operation: "export" });
}

/** The handle keeps the layer while it is read. Nobody can keep one of a root that is only read. */
async function holdIfOwn(store: LayerStore, chainId: ChainId): Promise<void> {
  const { hasCode } = await loadStrata();
  try {
    store.get(chainId);
  } catch (error) {
    if (!hasCode(error, "NOT_FOUND")) throw error;
  }
}

async function requireAncestor(
  store: LayerStore,
  names: { readonly ref: string; readonly from: string },
): Promise<void> {
  const [top, wanted] = [store.resolveChain(names.ref), store.resolveChain(names.from)];
  const { layers } = store.layers();
  const parentOf = (id: ChainId) => layers.has(id) ? layers.get(id)?.parent : parentElsewhere(store, id);
  for (let below = parentOf(top); below !== undefined; below = parentOf(below)) {
    if (below === wanted) return;
  }
  const { StrataError } = await loadStrata();
  throw new StrataError(
    "NOT_A_PARENT",
    `Cannot export "${names.ref}" from "${names.from}": that one is not below it; "strata layers --tree" shows what is`,
    { ref: wanted, of: top },
  );
}

function parentElsewhere(store: LayerStore, chainId: ChainId): ChainId | undefined {
  const inspection = store.inspect(chainId);
  return inspection.kind === "layer" ? inspection.layer.parent : undefined;
}
