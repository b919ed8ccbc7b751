// SPDX-License-Identifier: Apache-2.0
/**
 * `strata verify`.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import type { ChainId, LayerStore, Verification } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { interruptible } from "../signals.ts";
import { ownFilesOf } from "../record_refs.ts";
import { loadStrata } from "../strata.ts";

/** Looks whether layers can be given back. */
export const verify: CommandSpec = {
  name: "verify",
  summary: "Rebuild the tar of layers and compare its digest",
  description:
    'Prints "ok CHAINID" or "bad CHAINID REASON PATH" for each layer. Nothing is changed. Layers of roots that are\n' +
    "only read are verified when they are named.",
  arguments: [{ name: "REF", summary: "a layer; without any, all layers of the store itself", count: "any" }],
  examples: [
    { line: "strata verify", does: "every layer of the store" },
    { line: "strata verify base || strata register base.tar", does: "put a damaged layer right" },
  ],
  exitCodes: [EXIT.negative, EXIT.notFound],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { input, output, log, globals, signal } = invocation;
  await using store = await invocation.openStore();
  const refs = input.words("REF");
  if (refs.length === 0 && globals.readOnlyRoots.length > 0) {
    await log.notice("info", "Only the store's own layers are verified; name those of other roots to verify them");
  }
  const checks = refs.length === 0 ? allLayers(store) : await Promise.all(refs.map((ref) => oneLayer(store, ref)));
  // Each is read and hashed in a thread of its own; lines come in the order asked for.
  const atOnce = pLimit(availableParallelism());
  const running = checks.map((check) => atOnce(() => signal.aborted ? Promise.reject(signal.reason) : check()));
  const results = await interruptible(signal, Promise.all(running));
  await output.lines({ key: "layers", items: results, line: lineOf, document: documentOf });
  return results.every(({ state }) => state === "ok") ? EXIT.ok : EXIT.negative;
}

type Check = () => Promise<Verification>;

function allLayers(store: LayerStore): Check[] {
  const { layers, broken } = store.layers();
  const whole = Array.from(layers.keys(), (chainId): Check => () => store.verify(chainId));
  return [...whole, ...broken.map(({ chainId, path, error }) => found({ chainId, state: "bad", path, error }))];
}

/** A layer whose record is damaged cannot be resolved, but it is known by its ChainID all the same. */
async function oneLayer(store: LayerStore, ref: string): Promise<Check> {
  const { hasCode } = await loadStrata();
  try {
    const chainId = store.resolveChain(ref);
    const options = ownFilesOf(store, ref);
    return () => store.verify(chainId, options);
  } catch (error) {
    if (!hasCode(error, "CORRUPT") && !hasCode(error, "NOT_FOUND")) throw error;
    const broken = store.layers().broken.find(({ chainId }) => chainId === ref || chainId === chainOf(store, ref));
    if (broken === undefined) throw error;
    return found({ chainId: broken.chainId, state: "bad", path: broken.path, error: broken.error });
  }
}

function chainOf(store: LayerStore, ref: string): ChainId | undefined {
  const record = store.catalog.list().records.find(({ id, names }) => id === ref || names.includes(ref));
  return record?.target.kind === "layer" ? record.target.chainId : undefined;
}

function found(result: Verification): Check {
  return () => Promise.resolve(result);
}

function lineOf(result: Verification): string {
  return result.state === "ok" ? `ok ${result.chainId}` : `bad ${result.chainId} ${reasonOf(result)} ${result.path}`;
}

function documentOf(result: Verification): object {
  const { chainId, state } = result;
  return result.state === "ok" ? { chainId, state } : { chainId, state, reason: reasonOf(result), path: result.path };
}

/** The cause, in one line: that the layer is bad is said already. */
function reasonOf({ error }: Extract<Verification, { readonly state: "bad" }>): string {
  const { cause } = error;
  const reason = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : error.message;
  return reason.replace(/\s+/g, " ");
}
