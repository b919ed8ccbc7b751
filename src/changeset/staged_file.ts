// SPDX-License-Identifier: Apache-2.0
/**
 * A file of a tree that is being unpacked: its payload is written, or it comes whole from a file that lies elsewhere.
 *
 * Such a file is _adopted_: it gets a name in the tree, and its content is not written a second time. Since names of one
 * object share all that it is, that is done only where nobody else has the object, or where nothing of it has to be changed
 * (a layer that is published never changes, I2), and once a tree (two members that are no hard links must not become
 * one file). Elsewhere its content is copied, blocks shared where the file system can.
 *
 * @module
 */
import { inodeKey } from "../core/file_stat.ts";
import type { LayerPath } from "../core/layer_path.ts";
import { copyContent } from "../host/copy_tree.ts";
import { isOsError } from "../host/errno.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { TarEntry } from "../tar/entry.ts";
import { type MetadataWriter, pathTarget } from "./apply_metadata.ts";
import { FileBody } from "./file_body.ts";

/** A member that becomes a file. */
export interface StagedFileOptions {
  readonly tree: RootedDir;
  /** Where it is to be; nothing is there. */
  readonly path: LayerPath;
  readonly entry: TarEntry;
  readonly metadata: MetadataWriter;
  /** The objects that were adopted for this tree, by `inodeKey`; to be added to. */
  readonly adopted: Set<string>;
}

/** Takes one member's payload. Failures of the system come as `OsError`. */
export class StagedFile implements Disposable {
  readonly #options: StagedFileOptions;
  readonly #mode: number;
  #body: FileBody | undefined;
  /** Where the content comes from: `same` and `changeable` are adopted files. */
  #content: "payload" | "copied" | "same" | "changeable" = "payload";

  constructor(options: StagedFileOptions) {
    this.#options = options;
    this.#mode = options.metadata.modeOf(options.entry);
  }

  /** The next bytes of the payload. They are not kept. */
  write(bytes: Uint8Array): void {
    if (this.#content === "payload") this.#written().write(bytes);
  }

  /**
   * The payload, of which nothing was written yet, is the content of this file. The file stays the caller's; its name in
   * another tree of this layer is to be removed.
   */
  adopt(file: OpenFile): void {
    const { entry } = this.#options;
    const isWhole = entry.sparse === undefined && entry.size === entry.storedSize && entry.size === file.stat().size;
    if (this.#body !== undefined || this.#content !== "payload" || !isWhole) return;
    if (this.#tryLink(file) === "linked") return;
    copyContent(file, this.#written().file);
    this.#content = "copied";
  }

  /** The payload is complete: the file gets its metadata. */
  seal(): void {
    if (this.#content === "changeable") this.#sealAdopted();
    else if (this.#content !== "same") this.#sealWritten();
    else this.#options.metadata.timesOf(this.#options.entry); // Tells of a time that no file can have.
  }

  /** Closes the file of a member that was broken off. */
  [Symbol.dispose](): void {
    this.#body?.file.close();
  }

  #sealAdopted(): void {
    const { tree, path, entry, metadata } = this.#options;
    tree.setMode(path, this.#mode & 0o1777);
    metadata.apply(pathTarget(tree, path), entry, this.#mode);
    tree.setTimes(path, metadata.timesOf(entry));
  }

  #sealWritten(): void {
    const { entry, metadata } = this.#options;
    const body = this.#written();
    const { file } = body;
    body.finish();
    metadata.apply(file, entry, this.#mode);
    const { atime, mtime } = metadata.timesOf(entry);
    file.setTimes(atime, mtime);
    file.close();
  }

  /** The owner takes the set-id bits away again, so they come after it. */
  #written(): FileBody {
    const { tree, path, entry } = this.#options;
    return this.#body ??= new FileBody(tree.create(path, this.#mode & 0o1777), entry);
  }

  #tryLink(file: OpenFile): "linked" | "refused" {
    const { tree, path, entry, metadata, adopted } = this.#options;
    const key = inodeKey(file.stat());
    const fit = metadata.fits(entry, this.#mode, file);
    if (fit === "no" || adopted.has(key)) return "refused";
    try {
      tree.linkOpen(file, path);
    } catch (error) {
      // Another mount, another project of the quotas, somebody else's file, or as many names as a file can have.
      if (!isOsError(error, "EXDEV", "EPERM", "EMLINK", "EOPNOTSUPP")) throw error;
      return "refused";
    }
    adopted.add(key);
    this.#content = fit;
    return "linked";
  }
}
