// SPDX-License-Identifier: Apache-2.0
/**
 * The short names of a home's layers, and the symlinks that make them lead somewhere.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { makeSymlink, removeTreeAt } from "../../host/files.ts";
import type { SealRequest } from "../interfaces/layer_sealer.ts";
import {
  findLinked,
  findLinkName,
  type LinkName,
  LINKS,
  linkTarget,
  randomLinkName,
  readLinkName,
  readLinksBelow,
} from "./layout.ts";

/** Names the layers of one home. */
export class LayerNames {
  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  /** The name of a layer that is about to be sealed. One that is made again keeps that by which the layers above know it. */
  nameFor({ cacheId, children = [] }: Pick<SealRequest, "cacheId" | "children">): LinkName {
    const [known] = children.flatMap((child) => readLinksBelow(`${this.#home}/${child}`).slice(0, 1));
    return known ?? findLinkName(`${this.#home}/${cacheId}`) ?? randomLinkName();
  }

  /** Makes the name that a layer's directory states lead to the layer. */
  link(id: CacheId): void {
    const link = readLinkName(`${this.#home}/${id}`);
    if (findLinked(this.#home, link) === id) return;
    const path = `${this.#home}/${LINKS}/${link}`;
    removeTreeAt(path);
    makeSymlink(path, linkTarget(id));
  }

  /** Takes a layer's name away, as far as its directory still states one. */
  unlink(id: CacheId): void {
    const link = findLinkName(`${this.#home}/${id}`);
    if (link !== undefined) removeTreeAt(`${this.#home}/${LINKS}/${link}`);
  }
}
