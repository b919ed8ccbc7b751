// SPDX-License-Identifier: Apache-2.0
/**
 * Giving a whole tree, its root directory included, to the owners that other id maps ask for.
 *
 * The tree is walked twice: first it is only looked at, so that an owner without a counterpart is an error before
 * anything has changed. Then each object gets its owner once, however many names it has. chown(2) clears setuid, setgid
 * and `security.capability`; they are put back, and attributes that name users are mapped as well. Content and
 * modification times stay.
 *
 * Below an overlay mount the first chown of a linked file copies it up, which parts it from its other names; those are
 * linked with it again. (containers/storage does the same.)
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import {
  chainShifts,
  containerShift,
  hostShift,
  hostShiftOverflow,
  type IdMappings,
  type IdPair,
  type IdShift,
} from "../core/id_map.ts";
import { joinPath, type LayerPath, parentOf, ROOT } from "../core/layer_path.ts";
import { fromOsError } from "../host/errno.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import { CAPABILITY, shiftXattr } from "./owner_xattrs.ts";

/** From which maps to which. */
export interface ChownRequest {
  /** The maps under which the tree is kept now; the identity for a tree with the ids of its archive. */
  readonly from: IdMappings;
  /** The maps under which it is to be kept. */
  readonly to: IdMappings;
  /**
   * What becomes of owners that `to` does not hold: the request is refused (the default), or they become these overflow
   * ids, and there is no way back.
   */
  readonly unmapped?: "refuse" | IdPair;
  /** Whether an object is a mark of the driver's, such as a whiteout: it belongs to nobody, and is left alone. */
  readonly isMark?: (stat: FileStat) => boolean;
  /** Called when nothing was found that the maps do not hold, before anything is changed. */
  readonly whenChecked?: () => void;
}

/** What was done. */
export interface ChownReport {
  /** Objects that got another owner, each counted once. */
  readonly changed: number;
  /** Names that were linked again with a file from which a copy-up had parted them. */
  readonly relinked: number;
}

/**
 * Maps the owners of a tree. Nothing may write to it meanwhile.
 * @throws {StrataError} `INVALID_ARGUMENT` naming the path whose owner the maps do not hold, before anything is changed;
 *   later what the system reports, and the tree is then half changed
 */
export function chownTreeByMaps(tree: RootedDir, request: ChownRequest): ChownReport {
  const chown = new TreeChown(tree, request);
  try {
    chown.check();
    request.whenChecked?.();
    return chown.apply();
  } catch (error) {
    throw fromOsError(error, "give the tree to its mapped owners");
  }
}

/** What an object is to become. */
interface Outcome {
  readonly owner: IdPair;
  /** Attributes that chown removes or that name users, with the values that they are to have. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

const SET_ID_BITS = 0o6000;

class TreeChown {
  readonly #tree: RootedDir;
  readonly #shift: IdShift;
  readonly #isMark: (stat: FileStat) => boolean;
  /** The first name of each object that has several. */
  readonly #firstNames = new Map<string, LayerPath>();
  #changed = 0;
  #relinked = 0;

  constructor(tree: RootedDir, request: ChownRequest) {
    this.#tree = tree;
    this.#shift = shiftOf(request);
    this.#isMark = request.isMark ?? (() => false);
  }

  /** Fails where {@link TreeChown.apply} would. */
  check(): void {
    for (const [path, stat] of this.#walk()) this.#outcomeOf(path, stat);
  }

  apply(): ChownReport {
    for (const [path, stat] of this.#walk()) {
      if (stat.type === "dir" || stat.nlink === 1 || !this.#isFurtherName(path, stat)) this.#chown(path, stat);
    }
    return { changed: this.#changed, relinked: this.#relinked };
  }

  /** Every object of the tree, a directory before what it holds. */
  *#walk(): Generator<[LayerPath, FileStat]> {
    const pending: LayerPath[] = [ROOT];
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const stat = this.#tree.stat(path);
      if (stat === undefined || this.#isMark(stat)) continue;
      yield [path, stat];
      if (stat.type !== "dir") continue;
      for (const { name } of this.#tree.list(path).reverse()) pending.push(joinPath(path, name));
    }
  }

  #outcomeOf(path: LayerPath, stat: FileStat): Outcome {
    try {
      const owner = { uid: this.#shift.uid(stat.uid), gid: this.#shift.gid(stat.gid) };
      const xattrs = new Map<ByteString, Uint8Array>();
      for (const [name, value] of this.#tree.xattrs(path)) {
        const shifted = shiftXattr(name, value, this.#shift);
        if (shifted !== value || name === CAPABILITY) xattrs.set(name, shifted);
      }
      return { owner, xattrs };
    } catch (error) {
      if (hasCode(error, "INVALID_ARGUMENT")) refuseOwner(path, error);
      throw error;
    }
  }

  #chown(path: LayerPath, stat: FileStat): void {
    const { owner, xattrs } = this.#outcomeOf(path, stat);
    const keepsOwner = owner.uid === stat.uid && owner.gid === stat.gid;
    if (!keepsOwner) {
      this.#tree.setOwner(path, owner.uid, owner.gid);
      this.#changed++;
    }
    for (const [name, value] of xattrs) this.#tree.setXattr(path, name, value);
    const mayHaveLostBits = stat.type !== "symlink" && (stat.mode & SET_ID_BITS) !== 0;
    if (!keepsOwner && mayHaveLostBits) this.#tree.setMode(path, stat.mode);
  }

  /** Whether the object was met under another name; if so, both are names of one object afterwards. */
  #isFurtherName(path: LayerPath, stat: FileStat): boolean {
    const key = inodeKey(stat);
    const first = this.#firstNames.get(key);
    if (first === undefined) {
      this.#firstNames.set(key, path);
      return false;
    }
    const there = this.#tree.stat(first);
    if (there !== undefined && inodeKey(there) !== key) this.#relink(first, path);
    return true;
  }

  #relink(first: LayerPath, path: LayerPath): void {
    const dir = parentOf(path);
    const times = this.#tree.stat(dir);
    this.#tree.unlink(path);
    this.#tree.link(first, path);
    if (times !== undefined) this.#tree.setTimes(dir, times);
    this.#relinked++;
  }
}

function shiftOf({ from, to, unmapped = "refuse" }: ChownRequest): IdShift {
  return chainShifts(containerShift(from), unmapped === "refuse" ? hostShift(to) : hostShiftOverflow(to, unmapped));
}

function refuseOwner(path: LayerPath, cause: StrataError): never {
  throw new StrataError("INVALID_ARGUMENT", `Cannot change the owner of "/${display(path)}": ${cause.message}`, {
    argument: "idMappings",
  }, { cause });
}
