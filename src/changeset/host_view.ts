// SPDX-License-Identifier: Apache-2.0
/**
 * The view of a directory of the host that is about to be packed: some of it may be left out, by name or since this user
 * may not read it. What is left out is not listed, so nothing that walks the view meets it.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import { display } from "../core/bytes.ts";
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import { isOsError } from "../host/errno.ts";
import type { DirEntry, RootedDir } from "../host/rooted_dir.ts";
import { PlainView } from "./plain_view.ts";

/** What of a directory is shown. */
export interface HostViewOptions {
  /** Names that are left out wherever they stand, with all that lies below. */
  readonly exclude: ReadonlySet<ByteString>;
  /** Absent: what cannot be read is an error when it is read. Else it is left out, and told. */
  readonly onUnreadable: ((skipped: DroppedAttribute) => void) | undefined;
}

/** A directory of the host, without what is left out. */
export class HostView extends PlainView {
  readonly #options: HostViewOptions;

  /** Takes over the handle. */
  constructor(root: RootedDir, options: HostViewOptions) {
    super(root);
    this.#options = options;
  }

  /** See {@link PlainView.list}. */
  override list(path: LayerPath): readonly DirEntry[] {
    const { exclude, onUnreadable } = this.#options;
    const names = onUnreadable === undefined ? super.list(path) : this.#readableIn(path, onUnreadable);
    return exclude.size === 0 ? names : names.filter(({ name }) => !exclude.has(name));
  }

  #readableIn(dir: LayerPath, onUnreadable: (skipped: DroppedAttribute) => void): readonly DirEntry[] {
    const { exclude } = this.#options;
    const skip = (path: LayerPath, attribute: string): void =>
      onUnreadable({ entry: display(path), attribute, reason: "this user may not read it" });
    // Of the root itself nothing would be left.
    const names = dir === ROOT ? super.list(dir) : unlessDenied(() => super.list(dir));
    if (names === undefined) skip(dir, "what the directory holds");
    return names?.filter(({ name }) => {
      const path = joinPath(dir, name);
      const isShown = exclude.has(name) || unlessDenied(() => this.#touch(path)) !== undefined;
      if (!isShown) skip(path, "the file");
      return isShown;
    }) ?? [];
  }

  /** Fails as packing the object would. */
  #touch(path: LayerPath): true {
    if (this.stat(path)?.type === "file") this.openRead(path).close();
    return true;
  }
}

function unlessDenied<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isOsError(error, "EACCES", "EPERM")) return undefined;
    throw error;
  }
}
