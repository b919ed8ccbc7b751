// SPDX-License-Identifier: Apache-2.0
/**
 * The files of a saved image, wherever they lie: in a directory, or in an archive that nobody unpacked. What is found is
 * a part of a file of the host, so that layers are read in place.
 *
 * @module
 */
import { fromText, toText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { parseLayerPath } from "../core/layer_path.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { openForRead, realPath, statPath } from "../host/files.ts";

/** Bytes of a file of the host. */
export interface FilePart {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

/** Named files. */
export interface ImageFiles {
  /** Where they lie, for messages. */
  readonly shownAs: string;
  /**
   * Where a file's content lies; `undefined` when there is no such file. The name is relative to the top; it cannot lead out.
   * @throws {StrataError} `INVALID_ARCHIVE` when what has the name cannot be read as a file
   */
  locate(name: string): FilePart | undefined;
}

/** The files below a directory. */
export class DirectoryFiles implements ImageFiles {
  readonly shownAs: string;
  /** Ends with a slash. */
  readonly #root: string;

  /** @throws {StrataError} when there is no such directory */
  constructor(path: string) {
    this.shownAs = path;
    try {
      this.#root = `${realPath(path)}/`.replace(/^\/\/$/, "/");
    } catch (error) {
      throw fromOsError(error, `open "${path}"`);
    }
  }

  locate(name: string): FilePart | undefined {
    const path = this.#resolve(name);
    if (path === undefined) return undefined;
    const stat = statPath(path);
    if (stat === undefined) return undefined;
    if (!`${path}/`.startsWith(this.#root)) throw unusable(this, name, `it leads out of the directory, to "${path}"`);
    if (stat.type !== "file") throw unusable(this, name, `it is not a file but a ${stat.type}`);
    return { path, offset: 0, length: stat.size };
  }

  #resolve(name: string): string | undefined {
    try {
      return realPath(`${this.#root}${toText(parseLayerPath(fromText(name)))}`);
    } catch (error) {
      if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      throw fromOsError(error, `open "${name}" in "${this.shownAs}"`);
    }
  }
}

/**
 * A document's bytes.
 * @throws {StrataError} `LIMIT_EXCEEDED` when it is longer than `max`
 */
export function readPart(part: FilePart, { max, name }: { readonly max: number; readonly name: string }): Uint8Array {
  if (part.length > max) {
    throw new StrataError(
      "LIMIT_EXCEEDED",
      `Cannot read "${name}": it has ${part.length} bytes, and ${max} is the most for a document; check what was saved`,
      { limit: "JSON_BYTES_MAX", max, entry: name },
    );
  }
  try {
    using file = openForRead(part.path);
    const bytes = new Uint8Array(part.length);
    for (let at = 0; at < bytes.length;) {
      const count = file.readAt(bytes.subarray(at), part.offset + at);
      if (count === 0) return bytes.subarray(0, at);
      at += count;
    }
    return bytes;
  } catch (error) {
    throw fromOsError(error, `read "${name}" in "${part.path}"`);
  }
}

/** The file of that name, which must be there. */
export function requirePart(files: ImageFiles, name: string): FilePart {
  const part = files.locate(name);
  if (part === undefined) throw unusable(files, name, "it is missing");
  return part;
}

/** The error for a file that is missing, or is none. */
export function unusable({ shownAs }: ImageFiles, name: string, why: string): StrataError<"INVALID_ARCHIVE"> {
  return new StrataError(
    "INVALID_ARCHIVE",
    `Cannot load image from "${shownAs}": "${name}" cannot be used: ${why}; save the image again`,
    { stage: "source", entry: name },
  );
}
