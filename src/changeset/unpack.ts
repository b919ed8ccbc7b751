// SPDX-License-Identifier: Apache-2.0
/**
 * Unpacks one layer's archive into a bare tree, without looking at the layers below: so all layers of an image can be
 * unpacked at once. What the tree cannot express, and the premises under which it holds, are the {@link Changeset};
 * `settle.ts` completes both against the tree below.
 *
 * What an archive asks for is refused, or done inside the tree, and never done elsewhere (I5):
 *
 * - A name becomes a {@link LayerPath}; parents that are symlinks are followed as in a chroot, the last component never.
 * - Objects are created exclusively and given metadata by handle or without following. What stands in the way is moved
 *   aside, so that its content can still be exported (I6).
 * - Only a directory may be the root. A non-directory cannot be a parent.
 * - Whiteouts act on the layers below only, wherever they stand in the archive (image-spec `layer.md`).
 * - The header of a file's first name decides; hard links bring no metadata of their own.
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { baseOf, isWithin, joinPath, type LayerPath, parentOf, parseLayerPath, ROOT } from "../core/layer_path.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import { hostShift, IDENTITY, type IdMappings } from "../core/id_map.ts";
import { fromOsError, isOsError } from "../host/errno.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { TarEntry } from "../tar/entry.ts";
import { MetadataWriter, pathTarget } from "./apply_metadata.ts";
import type { Changeset, Ownership, Redirects } from "./change.ts";
import { Displaced } from "./displaced.ts";
import { DropReport } from "./drop_report.ts";
import { StagedFile } from "./staged_file.ts";
import { type DirNode, type DirPlace, newDir, type ObjectNode, StagedNames, type StagedNode } from "./staged_names.ts";
import { IMPLIED_MODE, nodeAt, occupy, type Slot, StagedTree } from "./staged_tree.ts";
import { type NameRole, roleOf, WHITEOUT_PREFIX } from "./whiteout.ts";

/** What a layer is unpacked into, and how. */
export interface UnpackOptions {
  /** An empty directory. */
  readonly tree: RootedDir;
  /** An empty directory beside it, in the same file system. */
  readonly displaced: RootedDir;
  readonly ownership: Ownership;
  /** Under which ids the archive's owners are kept on disk. Absent: under their own. */
  readonly idMappings?: IdMappings | undefined;
  /** What `settle()` asked for when this layer was unpacked before. */
  readonly redirects?: Redirects;
  readonly limits?: Limits;
}

/** The kernel's split of a device number: 12 and 20 bits. */
const MAJOR_MAX = 0xfff;
const MINOR_MAX = 0xf_ffff;
const SYMLINK_BYTES_MAX = 4095;

/** Unpacks members in the archive's order; then {@link Unpacker.finish}. Synchronous: it runs inside a worker. */
export class Unpacker implements Disposable {
  readonly #tree: RootedDir;
  readonly #ownership: Ownership;
  readonly #limits: Limits;
  readonly #names: StagedNames;
  readonly #staged: StagedTree;
  readonly #displaced: Displaced;
  readonly #report = new DropReport();
  readonly #metadata: MetadataWriter;
  readonly #whiteouts = new Set<LayerPath>();
  readonly #opaques = new Set<LayerPath>();
  /** The file whose payload is on its way. */
  #open: StagedFile | undefined;
  readonly #adopted = new Set<string>();
  #entryName = "";
  #entryCount = 0;
  #sizeBytes = 0;

  /** Prepares for the first member. The directories stay the caller's. */
  constructor(options: UnpackOptions) {
    const { tree, displaced, ownership, redirects = new Map(), limits = DEFAULT_LIMITS } = options;
    const shift = hostShift(options.idMappings ?? IDENTITY);
    this.#tree = tree;
    this.#ownership = ownership;
    this.#limits = limits;
    this.#names = new StagedNames(redirects);
    this.#displaced = new Displaced(tree, displaced, { redirected: redirects.size > 0 });
    this.#staged = new StagedTree({ tree, names: this.#names, displaced: this.#displaced, ownership, shift, limits });
    const self = tree.stat(ROOT) ?? { uid: 0, gid: 0 };
    this.#metadata = new MetadataWriter({ ownership, report: this.#report, self, shift });
  }

  /**
   * A member begins.
   * @throws {StrataError} `INVALID_ARCHIVE` or `LIMIT_EXCEEDED` when it is refused, else what the system reports
   */
  entry(entry: TarEntry): void {
    this.#entryName = display(entry.name);
    this.#entryCount++;
    this.#sizeBytes += entry.size;
    this.#guarded(() => this.#begin(entry));
  }

  /**
   * The next bytes of the member's payload. They are not kept.
   * @throws {StrataError} what the system reports
   */
  data(bytes: Uint8Array): void {
    const open = this.#open;
    if (open !== undefined) this.#guarded(() => open.write(bytes));
  }

  /**
   * The payload that comes next is the whole content of a file that lies elsewhere in this file system: it need not be
   * written, if it is a regular file's. To be called before {@link Unpacker.data}, which brings the payload all the same.
   * @throws {StrataError} what the system reports
   */
  adopt(file: OpenFile): void {
    const open = this.#open;
    if (open !== undefined) this.#guarded(() => open.adopt(file));
  }

  /**
   * The member's payload is complete.
   * @throws {StrataError} what the system reports
   */
  endEntry(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#guarded(() => open.seal());
    this.#open = undefined;
  }

  /**
   * The archive is complete: directories get their times, and the changeset is what the tree cannot say.
   * @throws {StrataError} what the system reports
   */
  finish(): Changeset {
    this.#entryName = "the layer's directories";
    return this.#guarded(() => {
      const enteredDirs = [...this.#names.entered];
      const lost = this.#displaced.finish(this.#names);
      const treeBytes = this.#names.bytes();
      return { ...this.#staged.finish(), enteredDirs, lost, treeBytes, ...this.#summary() };
    });
  }

  /** Closes the file of a member that was broken off. */
  [Symbol.dispose](): void {
    this.#open?.[Symbol.dispose]();
    this.#open = undefined;
  }

  #summary(): Pick<Changeset, "whiteouts" | "opaques" | "dropped" | "droppedCount" | "sizeBytes" | "entryCount"> {
    return {
      whiteouts: [...this.#whiteouts],
      opaques: [...this.#opaques],
      dropped: this.#report.listed,
      droppedCount: this.#report.count,
      sizeBytes: this.#sizeBytes,
      entryCount: this.#entryCount,
    };
  }

  #begin(entry: TarEntry): void {
    if (entry.type === "global") return;
    if (entry.name === "") this.#refuse("its name is empty");
    const role = this.#roleOf(entry.name);
    switch (role.kind) {
      case "object":
        return role.path === ROOT ? this.#root(entry) : this.#object(entry, role.path);
      case "whiteout":
        this.#whiteouts.add(this.#staged.slotAt(role.path).path);
        return;
      case "opaque":
        this.#opaques.add(this.#staged.enter(role.dir).path);
        return;
      case "ignored":
        return;
    }
  }

  /** The prefix of a whiteout does not count: what it hides may have the longest name that there is. */
  #roleOf(name: ByteString): NameRole {
    if (!name.includes(WHITEOUT_PREFIX)) return { kind: "object", path: parseLayerPath(name, this.#limits) };
    const componentBytesMax = this.#limits.componentBytesMax + WHITEOUT_PREFIX.length;
    const role = roleOf(parseLayerPath(name, { ...this.#limits, componentBytesMax }));
    if (role.kind === "object" || role.kind === "whiteout") parseLayerPath(role.path, this.#limits);
    return role;
  }

  #object(entry: TarEntry, name: LayerPath): void {
    switch (entry.type) {
      case "file":
        return this.#file(entry, name);
      case "dir":
        return this.#dir(entry, name);
      case "symlink":
        return this.#symlink(entry, name);
      case "hardlink":
        return this.#hardlink(entry, name);
      case "char":
      case "block":
        return this.#device(entry, name);
      case "fifo":
        return this.#node(entry, this.#staged.freeSlot(name), "fifo");
      default:
        this.#refuse(`its type ${typeName(entry.typeFlag)} is unknown`);
    }
  }

  #file(entry: TarEntry, name: LayerPath): void {
    const slot = this.#staged.freeSlot(name);
    const node: ObjectNode = { kind: "object", type: "file", size: entry.size };
    const options = { tree: this.#tree, path: slot.path, entry, metadata: this.#metadata, adopted: this.#adopted };
    this.#open = new StagedFile(options);
    occupy(slot, node);
    if (hasRecordedContent(entry)) this.#displaced.record({ entryIndex: this.#entryCount - 1, name, node });
  }

  #root(entry: TarEntry): void {
    if (entry.type !== "dir") this.#refuse("only a directory can be the root");
    this.#applyDir(entry, { path: ROOT, node: this.#names.root });
  }

  #dir(entry: TarEntry, name: LayerPath): void {
    const slot = this.#staged.slotAt(name);
    const there = nodeAt(slot);
    if (there?.kind === "dir") return this.#applyDir(entry, { path: slot.path, node: there });
    if (there !== undefined) {
      this.#staged.vacate(slot);
      // What was there had replaced the directory below, and so all that shows from below inside it.
      this.#opaques.add(slot.path);
    }
    this.#tree.mkdir(slot.path, IMPLIED_MODE);
    const node = newDir();
    occupy(slot, node);
    this.#applyDir(entry, { path: slot.path, node });
  }

  #applyDir(entry: TarEntry, dir: { path: LayerPath; node: DirNode }): void {
    const mode = this.#metadata.modeOf(entry);
    const target = pathTarget(this.#tree, dir.path);
    this.#metadata.apply(target, entry, undefined);
    target.setMode(mode);
    dir.node.times = this.#metadata.timesOf(entry);
  }

  #symlink(entry: TarEntry, name: LayerPath): void {
    const target = entry.linkName;
    if (target === "") this.#refuse("it is a symlink without a target");
    if (target.length > SYMLINK_BYTES_MAX) this.#refuse(`its target is longer than ${SYMLINK_BYTES_MAX} bytes`);
    if (target.includes("\0")) this.#refuse("its target contains a NUL byte");
    const slot = this.#staged.freeSlot(name);
    this.#tree.symlink(slot.path, target);
    occupy(slot, { kind: "symlink", target });
    this.#metadata.apply(pathTarget(this.#tree, slot.path), entry, undefined);
    this.#tree.setTimes(slot.path, this.#metadata.timesOf(entry));
  }

  #hardlink(entry: TarEntry, name: LayerPath): void {
    const role = roleOf(parseLayerPath(entry.linkName, this.#limits));
    if (role.kind !== "object") this.#refuse(`it is a hard link to the whiteout "${display(entry.linkName)}"`);
    const targetDir = this.#names.resolveDir(parentOf(role.path));
    const target = joinPath(targetDir.path, baseOf(role.path));
    const slot = this.#staged.slotAt(name);
    if (role.path === ROOT || target === slot.path) this.#refuse("it is a hard link to itself or to the root");
    if (isWithin(target, slot.path)) this.#refuse("it is a hard link to what it replaces");
    const node = this.#linkTarget(targetDir, target);
    if (nodeAt(slot) !== undefined) this.#staged.vacate(slot);
    if (node.kind !== "pending" && node.kind !== "absent") this.#tree.link(target, slot.path);
    else if (node.kind === "absent") this.#leaveOut(entry, slot);
    occupy(slot, node);
  }

  /** The object that a hard link names; one that this layer does not have is to be found below. */
  #linkTarget(dir: DirPlace, target: LayerPath): StagedNode {
    const node = dir.missing.length > 0 ? undefined : dir.nearest.children.get(baseOf(target));
    if (node?.kind === "dir") this.#refuse(`it is a hard link to the directory "${display(target)}"`);
    return node ?? { kind: "pending", target };
  }

  #device(entry: TarEntry, name: LayerPath): void {
    const { devMajor: major, devMinor: minor } = entry;
    if (!(major >= 0 && major <= MAJOR_MAX && minor >= 0 && minor <= MINOR_MAX)) {
      this.#refuse(`no device has the number ${major}:${minor}`);
    }
    if (entry.type === "char" && major === 0 && minor === 0) {
      this.#refuse("a character device 0:0 is overlayfs's mark for a removed file");
    }
    const slot = this.#staged.freeSlot(name);
    if (this.#ownership !== "self" && this.#tryDevice(entry, slot) === "made") return;
    this.#leaveOut(entry, slot);
    occupy(slot, { kind: "absent" });
  }

  /** Root of a user namespace may make none. mknod(2). */
  #tryDevice(entry: TarEntry, slot: Slot): "made" | "refused" {
    try {
      this.#node(entry, slot, entry.type === "char" ? "char" : "block");
      return "made";
    } catch (error) {
      const isMade = this.#tree.stat(slot.path) !== undefined;
      if (isMade || this.#ownership === "archive" || !isOsError(error, "EPERM")) throw error;
      return "refused";
    }
  }

  #node(entry: TarEntry, slot: Slot, type: "char" | "block" | "fifo"): void {
    const mode = this.#metadata.modeOf(entry);
    const numbers = type === "fifo" ? {} : { major: entry.devMajor, minor: entry.devMinor };
    this.#tree.mknod(slot.path, { type, mode: mode & 0o1777, ...numbers });
    occupy(slot, { kind: "object", type, size: 0 });
    this.#metadata.apply(pathTarget(this.#tree, slot.path), entry, mode);
    this.#tree.setTimes(slot.path, this.#metadata.timesOf(entry));
  }

  /** A device that this user cannot make. It still takes the place of what is below. */
  #leaveOut(entry: TarEntry, slot: Slot): void {
    this.#whiteouts.add(slot.path);
    this.#report.add({ entry: this.#entryName, attribute: entry.type, reason: "only root may make devices" });
  }

  #refuse(why: string): never {
    throw new StrataError("INVALID_ARCHIVE", `Cannot unpack "${this.#entryName}": ${why}; have the layer rebuilt`, {
      stage: "unpack",
      entry: this.#entryName,
    });
  }

  #guarded<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      throw fromOsError(error, `unpack "${this.#entryName}"`);
    }
  }
}

/** Whether the tar-split refers to the content by name; a sparse member's is kept raw. */
function hasRecordedContent(entry: TarEntry): boolean {
  return entry.size > 0 && entry.sparse === undefined;
}

function typeName(flag: number): string {
  return flag > 0x20 && flag < 0x7f ? `"${String.fromCharCode(flag)}"` : String(flag);
}
