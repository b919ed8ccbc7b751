// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers that keep trees well and answer wrongly.
 *
 * @module
 */
import type { CacheId } from "../../src/core/ids.ts";
import { mountAt } from "../../src/host/mount_table.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import type { Change } from "../../src/changeset/change.ts";
import type { ApplyOptions, Diff, DiffOptions } from "../../src/driver/interfaces/diff_driver.ts";
import type { CreateOptions, DiskUsage, GetOptions } from "../../src/driver/interfaces/proto_driver.ts";
import { OverlayDriver } from "../../src/driver/overlay/overlay_driver.ts";
import { VfsDriver } from "../../src/driver/vfs/vfs_driver.ts";
import { type BrokenDriver, pathsOf } from "./broken_drivers.ts";

/** The drivers. */
export const brokenAnswers: readonly BrokenDriver[] = [
  {
    fault: "does not know what a diff brought",
    foundBy: "an applied diff's size is that of the files it brings",
    open: (spec) =>
      new (class extends VfsDriver {
        override async applyDiff(
          id: CacheId,
          parent: CacheId | undefined,
          diff: Diff,
          options?: ApplyOptions,
        ): Promise<number> {
          await super.applyDiff(id, parent, diff, options);
          return 0;
        }
      })(spec),
  },
  {
    fault: "counts files by their names",
    foundBy: "what a layer occupies counts files and symlinks once, and every object",
    open: (spec) =>
      new (class extends VfsDriver {
        override readWriteDiskUsage(id: CacheId): DiskUsage {
          using tree = RootedDir.open(this.locate(id).dir);
          return { ...super.readWriteDiskUsage(id), inodes: pathsOf(tree).length };
        }
      })(spec),
  },
  {
    fault: "tells changes a directory at a time",
    foundBy: "changes are sorted bytewise by their whole paths",
    open: changing((changes) => {
      const key = ({ path }: Change) => path.replaceAll("/", "\0");
      return [...changes].sort((a, b) => (key(a) < key(b) ? -1 : 1));
    }),
  },
  {
    fault: "tells a new directory without what is in it",
    foundBy: "moves: a directory of the layer below is renamed, or copied where the kernel leaves that to the program",
    open: changing((changes) => {
      const isIn = (path: string) => changes.some((other) => other.kind === "add" && path.startsWith(`${other.path}/`));
      return changes.filter(({ path }) => !isIn(path));
    }),
  },
  {
    fault: "compares every layer with its parent",
    foundBy: "a diff against a layer further below, applied to that, gives the same tree",
    needs: "overlay",
    open: (spec) =>
      new (class extends OverlayDriver {
        override diff(id: CacheId, parent: CacheId | undefined, options?: DiffOptions): ReadableStream<Uint8Array> {
          return super.diff(id, this.parentsOf(id)[0]?.cacheId ?? parent, options);
        }
      })(spec),
  },
  {
    fault: "compares with nothing what it cannot find",
    foundBy: "a parent that does not exist is not taken for another",
    open: (spec) =>
      new (class extends VfsDriver {
        override changes(id: CacheId, parent: CacheId | undefined): Change[] {
          return super.changes(id, parent !== undefined && this.exists(parent) ? parent : undefined);
        }
      })(spec),
  },
  {
    fault: "takes options for layers and does not heed them",
    foundBy: "layers that nobody writes to take no storage options",
    open: (spec) =>
      new (class extends VfsDriver {
        override create(id: CacheId, parent: CacheId | undefined, { storageOptions: _, ...rest }: CreateOptions = {}) {
          super.create(id, parent, rest);
        }
      })(spec),
  },
  {
    fault: "gives who writes the mount of who reads",
    foundBy: "who wants to write to a layer that is mounted for reading can, or is refused",
    needs: "overlay",
    open: (spec) =>
      new (class extends OverlayDriver {
        override async get(id: CacheId, options?: GetOptions): Promise<string> {
          const { path } = this.treeOf(id, "writable");
          return mountAt(path) === undefined ? await super.get(id, options) : path;
        }
      })(spec),
  },
  {
    fault: "leaves things out of diffs without a word",
    foundBy: "files that are named like whiteouts hide nothing, and diffs leave them out",
    open: (spec) =>
      new (class extends VfsDriver {
        override diff(id: CacheId, parent: CacheId | undefined): ReadableStream<Uint8Array> {
          return super.diff(id, parent);
        }
      })(spec),
  },
  {
    fault: "copies no sockets",
    foundBy: "a socket stays in writable layers above and in copies, and diffs leave it out",
    open: (spec) =>
      new (class extends VfsDriver {
        override createReadWrite(id: CacheId, parent: CacheId | undefined, options?: CreateOptions): void {
          super.createReadWrite(id, parent, options);
          using tree = RootedDir.open(this.locate(id).dir);
          for (const path of pathsOf(tree)) if (tree.stat(path)?.type === "socket") tree.unlink(path);
        }
      })(spec),
  },
];

/** Answers something else than what has changed. */
function changing(change: (changes: Change[]) => Change[]): BrokenDriver["open"] {
  return (spec) =>
    new (class extends VfsDriver {
      override changes(id: CacheId, parent: CacheId | undefined): Change[] {
        return change(super.changes(id, parent));
      }
    })(spec);
}
