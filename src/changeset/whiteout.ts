// SPDX-License-Identifier: Apache-2.0
/**
 * Names that are instructions: how a layer's archive says that something below it is gone. image-spec `layer.md`,
 * "Whiteouts"; the further `.wh..wh.` names are the bookkeeping of the aufs file system, with which the form began.
 *
 * Only the name counts, never the member's type, mode or content.
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { baseOf, componentsOf, joinPath, type LayerPath, parentOf } from "../core/layer_path.ts";

/** What a member's name makes of the member. */
export type NameRole =
  /** An object of the tree. */
  | { readonly kind: "object"; readonly path: LayerPath }
  /** `dir/.wh.X`: the layers below lose `dir/X`. */
  | { readonly kind: "whiteout"; readonly path: LayerPath }
  /** `dir/.wh..wh..opq`: nothing below shows inside `dir`. */
  | { readonly kind: "opaque"; readonly dir: LayerPath }
  /** Bookkeeping of aufs, without effect. */
  | { readonly kind: "ignored" };

/** What a whiteout's name begins with. */
export const WHITEOUT_PREFIX = ".wh.";
/** The name of the marker in an opaque directory. */
export const OPAQUE_MARKER = ".wh..wh..opq";
const AUFS_PREFIX = ".wh..wh.";

/**
 * What a member of this name is.
 * @throws {StrataError} `INVALID_ARCHIVE` for a whiteout of nothing, of `.` or of `..`, and for one used as a directory
 */
export function roleOf(path: LayerPath): NameRole {
  if (!path.includes(WHITEOUT_PREFIX)) return { kind: "object", path };
  const dir = parentOf(path);
  for (const component of componentsOf(dir)) {
    if (!component.startsWith(WHITEOUT_PREFIX)) continue;
    if (component.startsWith(AUFS_PREFIX) && component !== OPAQUE_MARKER) return { kind: "ignored" };
    refuse(path, `"${display(component)}" is a whiteout and cannot be a directory`);
  }
  const base = baseOf(path);
  if (!base.startsWith(WHITEOUT_PREFIX)) return { kind: "object", path };
  if (base === OPAQUE_MARKER) return { kind: "opaque", dir };
  if (base.startsWith(AUFS_PREFIX)) return { kind: "ignored" };
  const hidden = base.slice(WHITEOUT_PREFIX.length) as ByteString;
  if (hidden === "" || hidden === "." || hidden === "..") refuse(path, "it is a whiteout that names no file");
  return { kind: "whiteout", path: joinPath(dir, hidden) };
}

function refuse(path: LayerPath, why: string): never {
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot unpack "${display(path)}": ${why}; have the layer rebuilt without it`,
    { stage: "unpack", entry: display(path) },
  );
}
