// SPDX-License-Identifier: Apache-2.0
/**
 * Giving an unpacked object its member's metadata, and saying what could not be given.
 *
 * The order is owner, attributes, mode, times: chown(2) clears setuid, setgid and `security.capability`, and everything
 * changes a time. Attributes that overlayfs reads as its own marks never reach the disk, whichever driver it is: with
 * them an archive could hide or show other files of the mount (kernel `overlayfs.rst`, "Permission model" and
 * "Nesting overlayfs mounts").
 *
 * @module
 */
import { type ByteString, compareBytes, display, fromBytes } from "../core/bytes.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import { sameTime, type Timespec } from "../core/file_stat.ts";
import { ID_MAX, type IdShift, NO_SHIFT, shiftOwner } from "../core/id_map.ts";
import type { LayerPath } from "../core/layer_path.ts";
import { isOsError } from "../host/errno.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { TarEntry } from "../tar/entry.ts";
import type { Ownership } from "./change.ts";
import type { DropReport } from "./drop_report.ts";
import { giveOwner } from "./give_owner.ts";
import { shiftXattr } from "./owner_xattrs.ts";
import type { Times } from "./staged_names.ts";

/** The object that gets metadata: an open file, or a path whose last component is not followed. */
export interface MetadataTarget {
  setOwner(uid: number, gid: number): void;
  setXattr(name: ByteString, value: Uint8Array): void;
  setMode(mode: number): void;
}

/** How metadata is applied. */
export interface MetadataOptions {
  readonly ownership: Ownership;
  readonly report: DropReport;
  /** The user to whom everything belongs when `ownership` is `self`. */
  readonly self: { readonly uid: number; readonly gid: number };
  /** From the archive's ids to those that objects get on disk, when `ownership` is not `self`. Absent: they are the same. */
  readonly shift?: IdShift;
}

const PERMISSION_BITS = 0o7777;
const SET_ID_BITS = 0o6000;
/** What this process needs to read what it unpacked, when it is not root. */
const READ_FILE = 0o400;
const ENTER_DIR = 0o700;
/** What ext4 can hold, 1901 to 2446. Others hold more, but one layer must give the same times everywhere. */
const SECONDS_MIN = -(2 ** 31);
const SECONDS_MAX = 2 ** 34 - 2 ** 31 - 1;
const OVERLAY_XATTR =
  /^(?:(?:trusted|user)\.overlay|(?:user|security)\.fuseoverlayfs)\.|^user\.containers\.override_stat$/;
/** The kernel gives every file its label, so it tells nothing of where the file comes from. */
const LABEL_XATTR = "security.selinux";
const PRIVILEGED_XATTR = /^(?:trusted|security)\./;

/** What a file has of a member beside its content and its name. */
export type FileMetadata = Pick<TarEntry, "name" | "uid" | "gid" | "mtime" | "xattrs">;

/** The target that a path is. */
export function pathTarget(tree: RootedDir, path: LayerPath): MetadataTarget {
  return {
    setOwner: (uid, gid) => tree.setOwner(path, uid, gid),
    setXattr: (name, value) => tree.setXattr(path, name, value),
    setMode: (mode) => tree.setMode(path, mode),
  };
}

/** Applies members' metadata under one ownership. */
export class MetadataWriter {
  readonly #options: MetadataOptions;
  readonly #shift: IdShift;

  /** Reports what it drops to `options.report`. */
  constructor(options: MetadataOptions) {
    this.#options = options;
    this.#shift = options.ownership === "self" ? NO_SHIFT : options.shift ?? NO_SHIFT;
  }

  /** The mode with which the member's object is created and ends; what `self` changes of it is reported. */
  modeOf(entry: TarEntry): number {
    const wanted = entry.mode & PERMISSION_BITS;
    if (this.#options.ownership !== "self") return wanted;
    const readable = entry.type === "dir" ? ENTER_DIR : entry.type === "file" ? READ_FILE : 0;
    const mode = (wanted & ~SET_ID_BITS) | readable;
    if (mode !== wanted) {
      this.#drop(
        entry,
        `mode ${octal(wanted)}`,
        `it becomes ${octal(mode)}: the files belong to this user and stay readable to it`,
      );
    }
    return mode;
  }

  /**
   * Gives an object that was created with `mode` the rest of its member's metadata, times excepted.
   * @throws {StrataError} `INVALID_ARCHIVE` for an owner that no file can have, `INVALID_ARGUMENT` for one that the id maps
   *   do not hold, `NOT_PERMITTED` for one that this user namespace does not
   */
  apply(target: MetadataTarget, entry: TarEntry, mode: number | undefined): void {
    const owner = this.#applyOwner(target, entry);
    for (const [name, value] of entry.xattrs) this.#applyXattr(target, entry, { name, value });
    if (mode === undefined) return;
    const due = owner === "refused" ? this.#withoutSetId(entry, mode) : mode;
    // The owner took the set-id bits, an access control list may have taken others.
    if ((due & SET_ID_BITS) !== 0 || entry.xattrs.size > 0) target.setMode(due);
  }

  /**
   * Whether a file that is there already can be the member's: it has all of the member's metadata (`same`), or it can get it,
   * since it has no further name (`changeable`). Times of access are nobody's metadata.
   * @throws {StrataError} `INVALID_ARGUMENT` for an owner that the id maps do not hold
   */
  fits(entry: FileMetadata, mode: number, file: OpenFile): "same" | "changeable" | "no" {
    const { ownership, self } = this.#options;
    const [stat, attributes] = [file.stat(), file.xattrs()];
    // Its owner and mode would be told by an attribute, or it would have to be given to this user.
    if (ownership === "recorded" || (ownership === "self" && (stat.uid !== self.uid || stat.gid !== self.gid))) {
      return "no";
    }
    for (const name of attributes.keys()) if (name !== LABEL_XATTR && !entry.xattrs.has(name)) return "no";
    const owner = ownership === "self" ? self : this.#mapped(entry, () => shiftOwner(this.#shift, entry));
    const isSame = stat.mode === mode && stat.uid === owner.uid && stat.gid === owner.gid &&
      sameTime(stat.mtime, clamp(entry.mtime)) && this.#hasXattrs(entry, attributes);
    return isSame ? "same" : stat.nlink === 1 ? "changeable" : "no";
  }

  #hasXattrs(entry: FileMetadata, actual: ReadonlyMap<ByteString, Uint8Array>): boolean {
    return Array.from(entry.xattrs).every(([name, value]) => {
      const there = actual.get(name);
      const wanted = this.#mapped(entry, () => shiftXattr(name, value, this.#shift));
      return there !== undefined && compareBytes(fromBytes(there), fromBytes(wanted)) === 0;
    });
  }

  /** The member's times, as far as file systems can hold them. A member without an access time was read when written. */
  timesOf(entry: TarEntry): Times {
    const mtime = clamp(entry.mtime);
    const atime = entry.atime === undefined ? mtime : clamp(entry.atime);
    if (mtime !== entry.mtime) this.#drop(entry, "mtime", "file systems hold the years 1901 to 2446 only");
    if (entry.atime !== undefined && atime !== entry.atime) {
      this.#drop(entry, "atime", "file systems hold the years 1901 to 2446 only");
    }
    return { atime, mtime };
  }

  #applyOwner(target: MetadataTarget, entry: TarEntry): "given" | "refused" {
    const { uid, gid } = entry;
    requireId(entry, "uid", uid);
    requireId(entry, "gid", gid);
    const { ownership, self } = this.#options;
    if (ownership === "self") {
      if (uid === self.uid && gid === self.gid) return "given";
      this.#drop(entry, ownerOf(entry), "all files belong to this user");
      return "refused";
    }
    const owner = this.#mapped(entry, () => shiftOwner(this.#shift, entry));
    try {
      const outcome = giveOwner(ownership, () => target.setOwner(owner.uid, owner.gid));
      if (outcome === "refused") {
        this.#drop(entry, ownerOf(entry), "this user may give files to few other ids, or none");
      }
      return outcome;
    } catch (error) {
      // The ids are numbers that files can have, so it is the namespace that lacks them.
      if (!isOsError(error, "EINVAL")) throw error;
      throw unmapped(entry, error);
    }
  }

  /** They would give the rights of whoever owns the file instead. */
  #withoutSetId(entry: TarEntry, mode: number): number {
    if ((mode & SET_ID_BITS) !== 0) {
      this.#drop(entry, `mode ${octal(mode)}`, "the set-id bits were meant for another owner");
    }
    return mode & ~SET_ID_BITS;
  }

  #applyXattr(target: MetadataTarget, entry: TarEntry, xattr: { name: ByteString; value: Uint8Array }): void {
    const attribute = `xattr ${display(xattr.name)}`;
    if (OVERLAY_XATTR.test(xattr.name)) {
      return this.#drop(entry, attribute, "overlayfs would take it for a mark of its own");
    }
    if (this.#options.ownership === "self" && PRIVILEGED_XATTR.test(xattr.name)) {
      return this.#drop(entry, attribute, "only root may set it");
    }
    const value = this.#mapped(entry, () => shiftXattr(xattr.name, xattr.value, this.#shift));
    try {
      target.setXattr(xattr.name, value);
    } catch (error) {
      if (!isOsError(error, "EOPNOTSUPP", "EPERM", "EACCES", "EINVAL", "ERANGE")) throw error;
      this.#drop(entry, attribute, `the file system refuses it (${error.code})`);
    }
  }

  #mapped<T>(entry: FileMetadata, shift: () => T): T {
    try {
      return shift();
    } catch (error) {
      if (!hasCode(error, "INVALID_ARGUMENT")) throw error;
      const message = `Cannot unpack "${display(entry.name)}": ${error.message}`;
      throw new StrataError("INVALID_ARGUMENT", message, error.detail, { cause: error });
    }
  }

  #drop(entry: TarEntry, attribute: string, reason: string): void {
    this.#options.report.add({ entry: display(entry.name), attribute, reason });
  }
}

function ownerOf({ uid, gid }: TarEntry): string {
  return `owner ${uid}:${gid}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

function unmapped(entry: TarEntry, cause: unknown): StrataError<"NOT_PERMITTED"> {
  return new StrataError(
    "NOT_PERMITTED",
    `Cannot unpack "${display(entry.name)}": this user namespace has no owner ${entry.uid}:${entry.gid}; ` +
      "give the user more subordinate ids, or the driver the option ignore_chown_errors=true",
    {},
    { cause },
  );
}

function requireId(entry: TarEntry, what: "uid" | "gid", id: number): void {
  if (Number.isInteger(id) && id >= 0 && id <= ID_MAX) return;
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot unpack "${display(entry.name)}": its ${what} ${id} is outside 0 to ${ID_MAX}; have the layer rebuilt`,
    { stage: "unpack", entry: display(entry.name) },
  );
}

function clamp(time: Timespec): Timespec {
  if (time.sec >= SECONDS_MIN && time.sec <= SECONDS_MAX) return time;
  return { sec: time.sec < 0 ? SECONDS_MIN : SECONDS_MAX, nsec: 0 };
}
