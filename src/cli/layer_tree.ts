// SPDX-License-Identifier: Apache-2.0
/**
 * Layers as a tree, children below their parents. Drawn without recursion: chains are long, and lists of them longer.
 *
 * @module
 */
import { idCell, sizeCell } from "./cells.ts";
import type { ListedLayer } from "./listed_layers.ts";

interface Node {
  readonly label: string;
  /** The node's own key, under which its children are kept. */
  readonly key: string;
}

interface Pending {
  readonly node: Node;
  /** What stands before the children's branches. */
  readonly indent: string;
  readonly branch: string;
}

/** Key of what sits on nothing. */
const NOTHING = "";

/** The tree as text. Each layer has one line, however many records it has; what it sits on is not listed, it stands alone. */
export function layerTree(listed: readonly ListedLayer[]): string {
  const children = childrenByParent(listed);
  const lines: string[] = [];
  const pending: Pending[] = (children.get(NOTHING) ?? []).map((node) => ({ node, indent: "", branch: "" })).reverse();
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { node, indent, branch } = next;
    lines.push(`${branch}${node.label}\n`);
    const below = children.get(node.key) ?? [];
    for (const [index, child] of [...below.entries()].reverse()) {
      const last = index === below.length - 1;
      pending.push({
        node: child,
        branch: `${indent}${last ? "└─ " : "├─ "}`,
        indent: `${indent}${last ? "   " : "│  "}`,
      });
    }
  }
  return lines.join("");
}

function childrenByParent(listed: readonly ListedLayer[]): Map<string, Node[]> {
  const layers = layersByChain(listed);
  const children = new Map<string, Node[]>();
  const add = (parent: string | null, node: Node): void => {
    const key = parent !== null && layers.has(parent) ? parent : NOTHING;
    const siblings = children.get(key);
    if (siblings === undefined) children.set(key, [node]);
    else siblings.push(node);
  };
  for (const [chainId, items] of layers) {
    const used = items.find(({ state }) => state === "ok") ?? items[0];
    add(used.parent, { key: chainId, label: layerLabel(used, items) });
  }
  for (const item of listed) {
    if (item.kind === "writable") add(item.parent, { key: `writable ${item.id}`, label: writableLabel(item) });
  }
  return children;
}

type Items = [ListedLayer, ...ListedLayer[]];

/** In the order of ChainIDs. */
function layersByChain(listed: readonly ListedLayer[]): Map<string, Items> {
  const layers = new Map<string, Items>();
  for (const item of listed) {
    if (item.chainId === null) continue;
    const same = layers.get(item.chainId);
    if (same === undefined) layers.set(item.chainId, [item]);
    else same.push(item);
  }
  return new Map([...layers].sort(([a], [b]) => a < b ? -1 : 1));
}

/** The one that is used is the first that is there: the store's own, where it has the layer. */
function layerLabel(used: ListedLayer, items: readonly ListedLayer[]): string {
  const names = items.flatMap((item) => item.names).join(", ");
  return labelOf([idCell(used.chainId), sizeCell(used.diffSize), names, ...remarks(used)]);
}

function writableLabel({ id, names, root, state }: ListedLayer): string {
  return labelOf(["writable", id, ...names, ...remarks({ root, state })]);
}

function remarks({ root, state }: Pick<ListedLayer, "root" | "state">): string[] {
  return [state === "ok" ? "" : `(${state})`, root === null ? "" : `[${root}]`];
}

function labelOf(words: readonly string[]): string {
  return words.filter((word) => word !== "").join(" ").replace(/[\r\n]+/g, " ");
}
