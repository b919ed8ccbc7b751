// SPDX-License-Identifier: Apache-2.0
/**
 * The contents of a layer as files of another tree that have the same blocks: nothing is read or written but what the file
 * system notes (ioctl_ficlone(2)).
 *
 * The files get the names that the layer's tar-split has for them, which is how whoever puts the archive together again
 * finds them. They are copies: whatever becomes of the one or the other, its twin stays.
 *
 * @module
 */
import { display } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { ancestorsOf, type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import type { DiffGetter } from "../../driver/interfaces/diff_driver.ts";
import { loadDriver } from "../../driver/registry.ts";
import { shareContent } from "../../host/copy_tree.ts";
import { isOsError } from "../../host/errno.ts";
import type { OpenFile } from "../../host/open_file.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { AbortFlag } from "../abort_flag.ts";
import type { Report } from "../job_map.ts";
import { tarSplitBatches } from "../tar_split_file.ts";
import type { VerifyRequest } from "./verify.ts";

/** A layer whose contents are to be shared. */
export interface ShareContentsRequest extends VerifyRequest {
  /** An empty directory that receives them. */
  readonly target: string;
}

/** What has come of it. */
export interface SharedContents {
  /** `refused`: these two places cannot share blocks, and what lies in the target is of no use. */
  readonly outcome: "shared" | "refused";
  /** Files with content that are in the target. */
  readonly files: number;
  /** Bytes of those. */
  readonly bytes: number;
}

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;

/**
 * Shares them.
 * @throws {StrataError} `CORRUPT` for a damaged tar-split, or naming a content that is not there; `ABORTED`
 */
export async function shareContents(
  request: ShareContentsRequest,
  _report: Report,
  abort: AbortFlag,
): Promise<SharedContents> {
  const driver = await loadDriver(request.driver);
  await using source = await driver.diffGetter(request.stack);
  using target = RootedDir.open(request.target);
  const sharing = new Sharing(source, target);
  for await (const batch of tarSplitBatches(request.tarSplitPath)) {
    for (const record of batch) {
      if (record.type !== "file" || record.size === 0) continue;
      abort.check();
      if (sharing.share(parseLayerPath(record.name)) === "refused") return { outcome: "refused", ...sharing.counts };
    }
  }
  return { outcome: "shared", ...sharing.counts };
}

class Sharing {
  readonly #source: Pick<DiffGetter, "openRead">;
  readonly #target: RootedDir;
  readonly #dirs = new Set<LayerPath>();
  readonly #files = new Set<LayerPath>();
  #bytes = 0;

  constructor(source: Pick<DiffGetter, "openRead">, target: RootedDir) {
    this.#source = source;
    this.#target = target;
  }

  get counts(): Pick<SharedContents, "files" | "bytes"> {
    return { files: this.#files.size, bytes: this.#bytes };
  }

  /** A name that comes again has the same content: of others, the tree could hold one only. */
  share(path: LayerPath): "shared" | "refused" {
    if (this.#files.has(path)) return "shared";
    using from = this.#open(path);
    this.#makeParents(path);
    using to = this.#target.create(path, FILE_MODE);
    if (shareContent(from, to) === "refused") return "refused";
    this.#files.add(path);
    this.#bytes += from.stat().size;
    return "shared";
  }

  #open(path: LayerPath): OpenFile {
    try {
      return this.#source.openRead(path);
    } catch (error) {
      if (!isOsError(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO")) throw error;
      const message = `its tree has no file "${display(path)}", which its archive has`;
      throw new StrataError("CORRUPT", message, { path: display(path) }, { cause: error });
    }
  }

  #makeParents(path: LayerPath): void {
    for (const dir of ancestorsOf(path)) {
      if (this.#dirs.has(dir)) continue;
      this.#target.mkdir(dir, DIR_MODE);
      this.#dirs.add(dir);
    }
  }
}
