// SPDX-License-Identifier: Apache-2.0
/**
 * Which ids own an archive's members: what a user namespace must map before the layer can be kept or mounted in it. The
 * `uidset` and `gidset` of containers/storage, pkg/tarlog.
 *
 * @module
 */
import { ID_MAX } from "../core/id_map.ts";
import { OWNER_IDS_MAX } from "../core/limits.ts";
import type { TarEntry } from "./entry.ts";

/** Ids as headers have them, before any map, in ascending order. A set that is not known whole is absent. */
export interface OwnerSets {
  readonly uids?: readonly number[];
  readonly gids?: readonly number[];
}

/** Whiteouts and aufs's bookkeeping become no files, so their owners are nobody's. */
const IS_INSTRUCTION = /(?:^|\/)\.wh\.[^/]*\/*$/;

/** Collects the owners of members as they come. */
export class OwnerIds {
  readonly #uids = new IdSet();
  readonly #gids = new IdSet();
  /** The pair that was added last, which is nearly always the next one, too. */
  #lastUid = NaN;
  #lastGid = NaN;

  /** Takes the next member. */
  add({ type, name, uid, gid }: TarEntry): void {
    if (uid === this.#lastUid && gid === this.#lastGid) return;
    if (type === "global" || IS_INSTRUCTION.test(name)) return;
    this.#lastUid = uid;
    this.#lastGid = gid;
    this.#uids.add(uid);
    this.#gids.add(gid);
  }

  /** The sets of what was added; one with more than {@link OWNER_IDS_MAX} ids, or with a number that is no id, is absent. */
  sets(): OwnerSets {
    const uids = this.#uids.sorted();
    const gids = this.#gids.sorted();
    return { ...(uids === undefined ? {} : { uids }), ...(gids === undefined ? {} : { gids }) };
  }
}

/** A part of the ids would be taken for all of them, so there are all or none. */
class IdSet {
  #ids: Set<number> | undefined = new Set();

  add(id: number): void {
    if (this.#ids === undefined) return;
    this.#ids.add(id);
    const isId = Number.isInteger(id) && id >= 0 && id <= ID_MAX;
    if (!isId || this.#ids.size > OWNER_IDS_MAX) this.#ids = undefined;
  }

  sorted(): number[] | undefined {
    return this.#ids === undefined ? undefined : [...this.#ids].sort((a, b) => a - b);
  }
}
