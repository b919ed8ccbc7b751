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
import { type FileStat, inodeKey, sameTime } from "../core/file_stat.ts";
import {
  chainShifts,
  containerShift,
  hostShift,
  hostShiftOverflow,
  type IdMappings,
  type IdPair,
  type IdShift,
} from "../core/id_map.ts";
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
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
  /**
   * Who shows the tree: the kernel (the default), or a program, which may tell the inode numbers and times of before after
   * a change. Then names are linked with each other again before their object is changed, and times are set in any case.
   */
  readonly servedBy?: "kernel" | "program";
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
  readonly #servedBy: "kernel" | "program";
  /** The directories as they were, each before those that it holds. */
  readonly #dirs: [LayerPath, FileStat][] = [];
  /** Of objects with several names, the others by the first one. */
  readonly #otherNames = new Map<LayerPath, LayerPath[]>();
  #changed = 0;
  #relinked = 0;

  constructor(tree: RootedDir, request: ChownRequest) {
    this.#tree = tree;
    this.#shift = shiftOf(request);
    this.#isMark = request.isMark ?? (() => false);
    this.#servedBy = request.servedBy ?? "kernel";
  }

  /** Looks at everything, and fails where {@link TreeChown.apply} would. */
  check(): void {
    const firstNames = new Map<string, LayerPath>();
    for (const [path, stat] of this.#walk()) {
      this.#outcomeOf(path, stat);
      if (stat.type === "dir") this.#dirs.push([path, stat]);
      else if (stat.nlink > 1) this.#noteName(path, { stat, firstNames });
    }
  }

  apply(): ChownReport {
    const further = new Set([...this.#otherNames.values()].flat());
    for (const [path, stat] of this.#walk()) {
      if (further.has(path)) continue;
      const others = this.#otherNames.get(path) ?? [];
      if (this.#servedBy === "program") { for (const other of others) this.#relink(path, other); }
      this.#chown(path, stat);
      for (const other of others) if (this.#isParted(path, other)) this.#relink(path, other);
    }
    // What a directory holds comes before the directory itself: copying it up can change its time.
    for (const [path, stat] of this.#dirs.reverse()) this.#keepTime(path, stat);
    return { changed: this.#changed, relinked: this.#relinked };
  }

  #noteName(
    path: LayerPath,
    { stat, firstNames }: { readonly stat: FileStat; readonly firstNames: Map<string, LayerPath> },
  ): void {
    const first = firstNames.get(inodeKey(stat));
    const others = first === undefined ? undefined : this.#otherNames.get(first);
    if (first === undefined) firstNames.set(inodeKey(stat), path);
    else if (others === undefined) this.#otherNames.set(first, [path]);
    else others.push(path);
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
    if (!keepsOwner && stat.type === "symlink") this.#keepTime(path, stat);
  }

  #keepTime(path: LayerPath, { atime, mtime }: FileStat): void {
    const now = this.#tree.stat(path)?.mtime;
    const isKept = this.#servedBy === "kernel" && now !== undefined && sameTime(now, mtime);
    if (!isKept) this.#tree.setTimes(path, { atime, mtime });
  }

  #isParted(first: LayerPath, path: LayerPath): boolean {
    const [one, other] = [this.#tree.stat(first), this.#tree.stat(path)];
    return one !== undefined && other !== undefined && inodeKey(one) !== inodeKey(other);
  }

  #relink(first: LayerPath, path: LayerPath): void {
    this.#tree.unlink(path);
    this.#tree.link(first, path);
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
