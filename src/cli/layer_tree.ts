// SPDX-License-Identifier: Apache-2.0
/**
 * Layers as a tree, children below their parents. Drawn without recursion: chains are long, and lists of them longer.
 *
 * @module
 */
import type { ChainId, LayerRecord } from "../../mod.ts";
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

/** The tree as text. */
export function layerTree(layers: ReadonlyMap<ChainId, LayerRecord>, listed: readonly ListedLayer[]): string {
  const children = childrenByParent(layers, listed);
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

function childrenByParent(
  layers: ReadonlyMap<ChainId, LayerRecord>,
  listed: readonly ListedLayer[],
): Map<string, Node[]> {
  const children = new Map<string, Node[]>();
  const add = (parent: string | null | undefined, node: Node): void => {
    const key = parent ?? NOTHING;
    children.set(key, [...children.get(key) ?? [], node]);
  };
  for (const { chainId, parent, sizeBytes } of layers.values()) {
    const names = listed.filter((item) => item.chainId === chainId).flatMap((item) => item.names);
    add(parent, { key: chainId, label: `${idCell(chainId)} ${sizeCell(sizeBytes)} ${names.join(", ")}`.trimEnd() });
  }
  for (const { kind, id, parent, names } of listed) {
    if (kind === "writable") add(parent, { key: `writable ${id}`, label: ["writable", id, ...names].join(" ") });
  }
  return children;
}
