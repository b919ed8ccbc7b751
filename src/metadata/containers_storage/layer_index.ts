// SPDX-License-Identifier: Apache-2.0
/**
 * All layers of one driver below one root of containers/storage at one moment, and what follows from their records: who
 * has a name, which stack a layer is the top of, which layers cannot be used.
 *
 * A stack may go on in further roots (additional image stores). A ChainID needs the digest of every layer below; where one
 * was never filled from a tar, as a container's, there is none for it and all above: those are writable layers here.
 *
 * @module
 */
import { chainOn } from "../../core/chain_id.ts";
import { type ChainId, digestHex } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { isIdentity } from "../../core/id_map.ts";
import type { Finding } from "../finding.ts";
import type { ContainersLayout } from "./layout.ts";
import type { ContainersLayer, LayersFile } from "./layers_file.ts";

/** A layer, and where it was found. */
export interface IndexedLayer extends ContainersLayer {
  readonly layout: ContainersLayout;
  readonly index: LayerIndex;
}

/** Which stack a layer is the top of. */
export type Standing =
  | { readonly kind: "layer"; readonly chainId: ChainId }
  | { readonly kind: "writable" }
  | { readonly kind: "broken"; readonly error: StrataError<"CORRUPT"> };

/** What an index is made of. */
export interface LayerIndexParts {
  readonly layout: ContainersLayout;
  /** In the order in which they are read. */
  readonly files: readonly LayersFile[];
  /** The same of further roots, in which stacks may go on. */
  readonly siblings: readonly LayerIndex[];
}

const WRITABLE: Standing = { kind: "writable" };

/** The layers of one root. It never changes. */
export class LayerIndex {
  readonly findings: readonly Finding[];
  readonly #layout: ContainersLayout;
  readonly #siblings: readonly LayerIndex[];
  readonly #layers = new Map<string, IndexedLayer>();
  readonly #owners = new Map<string, IndexedLayer>();
  readonly #standings = new Map<string, Standing>();
  readonly #byChain = new Map<ChainId, IndexedLayer[]>();
  #ids: readonly string[] | undefined;
  #chainHexes: readonly string[] | undefined;

  constructor({ layout, files, siblings }: LayerIndexParts) {
    this.#layout = layout;
    this.#siblings = siblings;
    const findings = files.flatMap((file) => file.findings);
    for (const layer of files.flatMap((file) => file.layers)) this.#add(layer, findings);
    for (const layer of this.#layers.values()) {
      const standing = this.standingOf(layer);
      if (standing.kind === "broken") findings.push(this.#finding("broken", layer.recordId, standing.error));
      if (standing.kind === "layer") add(this.#byChain, standing.chainId, layer);
    }
    this.findings = findings;
  }

  /** The layers that can be named, in the order of the files. */
  get layers(): Iterable<IndexedLayer> {
    return this.#layers.values();
  }

  /** The stacks that have a layer here. */
  get chainIds(): Iterable<ChainId> {
    return this.#byChain.keys();
  }

  /** The layers that are kept under mapped ids, also of the roots in which stacks may go on. */
  get mapped(): readonly IndexedLayer[] {
    const own = [...this.#layers.values()].filter(({ mappings }) => !isIdentity(mappings));
    return [...this.#siblings.flatMap((sibling) => sibling.mapped), ...own];
  }

  /** A layer of this root. */
  find(id: string): IndexedLayer | undefined {
    return this.#layers.get(id);
  }

  /** A layer of this root or of those in which its stacks may go on. */
  findBelow(id: string): IndexedLayer | undefined {
    return this.#layers.get(id) ?? firstOf(this.#siblings, (sibling) => sibling.findBelow(id));
  }

  /** The layer of this root that has a name. */
  findByName(name: string): IndexedLayer | undefined {
    return this.#owners.get(name);
  }

  /** The names that are a layer's: a later layer takes them from an earlier one, as that tool has it. */
  namesOf(layer: ContainersLayer): readonly string[] {
    return layer.names.filter((name) => this.#owners.get(name)?.recordId === layer.recordId);
  }

  /** The layers of this root that are the top of a stack. */
  tops(chainId: ChainId): readonly IndexedLayer[] {
    return this.#byChain.get(chainId) ?? [];
  }

  /** The same, also of those roots in which stacks may go on; this one's first. */
  topsBelow(chainId: ChainId): readonly IndexedLayer[] {
    return [...this.tops(chainId), ...this.#siblings.flatMap((sibling) => sibling.topsBelow(chainId))];
  }

  /** The layer that a layer lies on; `undefined` for a base layer, and for one whose parent is not here. */
  parentOf({ parent }: ContainersLayer): IndexedLayer | undefined {
    return parent === undefined ? undefined : this.findBelow(parent);
  }

  /** The ids that begin so, of this root. */
  idsWith(prefix: string): readonly string[] {
    this.#ids ??= [...this.#layers.keys()].sort();
    return withPrefix(this.#ids, prefix);
  }

  /** The hex digits of ChainIDs that begin so, of this root. */
  chainHexesWith(prefix: string): readonly string[] {
    this.#chainHexes ??= Array.from(this.#byChain.keys(), digestHex).sort();
    return withPrefix(this.#chainHexes, prefix);
  }

  /** Which stack a layer of this root is the top of. */
  standingOf(top: IndexedLayer): Standing {
    const walked: IndexedLayer[] = [];
    const passed = new Set<string>();
    let layer: IndexedLayer | undefined = top;
    let standing: Standing | undefined;
    let below: ChainId | undefined;
    for (; layer !== undefined; layer = this.parentOf(layer)) {
      standing = layer.index === this ? this.#standings.get(layer.recordId) : layer.index.standingOf(layer);
      if (standing !== undefined) break;
      if (passed.has(layer.recordId)) standing = broken(top, `its stack returns to "${layer.recordId}"`);
      if (standing !== undefined) break;
      passed.add(layer.recordId);
      walked.push(layer);
    }
    const base = walked.at(-1);
    if (standing === undefined && base?.parent !== undefined) {
      standing = broken(base, `the layer "${base.parent.slice(0, 140)}" below it has no usable record`);
    }
    if (standing?.kind === "layer") below = standing.chainId;
    for (const next of walked.reverse()) {
      if (standing?.kind !== "writable" && standing?.kind !== "broken") {
        standing = next.diffId === undefined
          ? WRITABLE
          : { kind: "layer", chainId: below = chainOn(below, next.diffId) };
      }
      this.#standings.set(next.recordId, standing);
    }
    return standing ?? WRITABLE;
  }

  #add(layer: ContainersLayer, findings: Finding[]): void {
    const { recordId } = layer;
    if (this.#layers.has(recordId)) {
      const error = corrupt(this.#layout, `a second record has the id "${recordId}"; it is ignored`);
      findings.push(this.#finding("degraded", recordId, error));
      return;
    }
    if (layer.flags["incomplete"] === true) {
      const error = corrupt(this.#layout, `layer "${recordId}" is incomplete: it was being made or removed`);
      findings.push(this.#finding("broken", recordId, error));
      return;
    }
    const indexed: IndexedLayer = { ...layer, layout: this.#layout, index: this };
    this.#layers.set(recordId, indexed);
    for (const name of layer.names) {
      const owner = this.#owners.get(name);
      if (owner !== undefined) {
        const error = corrupt(this.#layout, `"${owner.recordId}" and "${recordId}" have the name "${name}"`);
        findings.push({ ...this.#finding("degraded", name, error), kind: "name" });
      }
      this.#owners.set(name, indexed);
    }
  }

  #finding(severity: Finding["severity"], subject: string, error: StrataError<"CORRUPT">): Finding {
    return { severity, kind: "record", subject, path: error.detail.path, error };
  }
}

function broken(layer: IndexedLayer, problem: string): Standing {
  return { kind: "broken", error: corrupt(layer.layout, `layer "${layer.recordId}" has no whole stack: ${problem}`) };
}

function corrupt({ layersDir }: ContainersLayout, problem: string): StrataError<"CORRUPT"> {
  return new StrataError(
    "CORRUPT",
    `Cannot use all layers of "${layersDir}": ${problem}; repair the store with the tool that it belongs to`,
    { path: layersDir },
  );
}

function add<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The texts that begin so, of a sorted list. */
function withPrefix(sorted: readonly string[], prefix: string): readonly string[] {
  let from = 0;
  for (let to = sorted.length; from < to;) {
    const middle = (from + to) >> 1;
    if (sorted[middle]! < prefix) from = middle + 1;
    else to = middle;
  }
  let end = from;
  while (sorted[end]?.startsWith(prefix)) end++;
  return sorted.slice(from, end);
}
