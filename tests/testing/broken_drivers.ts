// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers with one fault each, such as drivers have had. The suite must find every one of them.
 *
 * @module
 */
import { linkSync, mkdirSync, rmSync } from "node:fs";
import type { CacheId } from "../../src/core/ids.ts";
import { joinPath, type LayerPath, ROOT } from "../../src/core/layer_path.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import type { Change } from "../../src/changeset/change.ts";
import type { Driver } from "../../src/driver/driver.ts";
import type { DifferDriver } from "../../src/driver/interfaces/differ_driver.ts";
import type { DriverSpec } from "../../src/driver/interfaces/driver_spec.ts";
import type { SealedLayer, SealRequest } from "../../src/driver/interfaces/layer_sealer.ts";
import { OverlayDriver } from "../../src/driver/overlay/overlay_driver.ts";
import type { CreateOptions } from "../../src/driver/interfaces/proto_driver.ts";
import { VfsDriver } from "../../src/driver/vfs/vfs_driver.ts";

/** A fault, and a driver that has it. */
export interface BrokenDriver {
  /** Completes "a driver that …". */
  readonly fault: string;
  /** The name of a case that does not pass. */
  readonly foundBy: string;
  readonly needs?: "overlay" | "root";
  open(spec: DriverSpec): Driver;
}

/** Spoils the tree of every layer before it is published. */
function spoiling(spoil: (tree: RootedDir, path: LayerPath) => void): (spec: DriverSpec) => Driver {
  return (spec) =>
    new (class extends VfsDriver {
      override publish(sealed: SealedLayer): void {
        {
          using tree = RootedDir.open(sealed.dir);
          for (const path of pathsOf(tree)) spoil(tree, path);
        }
        super.publish(sealed);
      }
    })(spec);
}

/** Seals something else than it is told. */
function sealing(change: (request: SealRequest) => SealRequest): (spec: DriverSpec) => Driver {
  return (spec) =>
    new (class extends VfsDriver {
      override seal(request: SealRequest): SealedLayer {
        return super.seal(change(request));
      }
    })(spec);
}

/** Gives a driver another part for differs. */
function withDiffers(driver: Driver, change: (differs: DifferDriver) => Partial<DifferDriver>): Driver {
  const { differs } = driver;
  const own: DifferDriver = {
    applyDiffWithDiffer: (...all) => differs.applyDiffWithDiffer(...all),
    applyDiffFromStagingDirectory: (...all) => differs.applyDiffFromStagingDirectory(...all),
    cleanupStagingDirectory: (staging) => differs.cleanupStagingDirectory(staging),
    differTarget: (id) => differs.differTarget(id),
  };
  return Object.assign(driver, { differs: { ...own, ...change(own) } });
}

/** The drivers. */
export const brokenDrivers: readonly BrokenDriver[] = [
  {
    fault: "removes what a layer of another store stands for",
    foundBy: "outside: whatever is done, the other store stays as it is",
    open: (spec) =>
      new (class extends VfsDriver {
        override async remove(id: CacheId): Promise<void> {
          const outside = this.outsideLayers.standInOf(id);
          await super.remove(id);
          if (outside !== undefined) rmSync(outside, { recursive: true });
        }
      })(spec),
  },
  {
    fault: "shows a layer of another store without those below",
    foundBy: "outside: layers of another store show the same tree, mounted or not",
    needs: "overlay",
    open: (spec) => {
      const driver = new OverlayDriver(spec);
      const { outsideLayers } = driver;
      const { createStandIn } = outsideLayers;
      outsideLayers.createStandIn = (id, _, outside) => createStandIn.call(outsideLayers, id, undefined, outside);
      return driver;
    },
  },
  {
    fault: "forgets what a staged tree hides",
    foundBy: "differs: what one staged hides what it says, and nothing else",
    open: (spec) =>
      withDiffers(new VfsDriver(spec), ({ applyDiffFromStagingDirectory: apply }) => ({
        applyDiffFromStagingDirectory: (id, parent, staged) => apply(id, parent, { ...staged, whiteouts: [] }),
      })),
  },
  {
    fault: "gives a layer the root of the staging directory",
    foundBy: "differs: the root stays as it was, unless the staged tree's is wanted",
    open: (spec) =>
      withDiffers(new VfsDriver(spec), ({ applyDiffFromStagingDirectory: apply }) => ({
        applyDiffFromStagingDirectory: (id, parent, staged) => apply(id, parent, { ...staged, root: "as staged" }),
      })),
  },
  {
    fault: "leaves behind what a failed differ has staged",
    foundBy: "differs: one that fails leaves nothing, and no other's staging directory is touched",
    open: (spec) =>
      withDiffers(new VfsDriver(spec), ({ applyDiffWithDiffer: stage }) => ({
        applyDiffWithDiffer: async (differ, { staging, ...options }) => {
          mkdirSync(staging, { recursive: true });
          const { staged, output } = await stage(differ, { staging: `${staging}/inner`, ...options });
          return { staged: { ...staged, staging }, output };
        },
      })),
  },
  {
    fault: "loses attributes",
    foundBy: "user attributes are kept, binary values too",
    open: spoiling((tree, path) => {
      for (const name of tree.xattrs(path).keys()) tree.removeXattr(path, name);
    }),
  },
  {
    fault: "forgets the nanoseconds of times",
    foundBy: "times are kept to the nanosecond, also before 1970 and of symlinks",
    open: spoiling(withoutNanoseconds),
  },
  { fault: "copies hard links", foundBy: "hard links are one object", open: spoiling(withoutLink) },
  {
    fault: "loses setgid and sticky of directories",
    foundBy: "a root directory of mode 01777 stays so, mounted and in layers above",
    open: spoiling((tree, path) => {
      const stat = tree.stat(path);
      if (stat?.type === "dir") tree.setMode(path, stat.mode & 0o777);
    }),
  },
  {
    fault: "opens its root directories to everybody",
    foundBy: "a root directory of mode 0700 stays so, mounted and in layers above",
    open: spoiling((tree, path) => {
      if (path === ROOT) tree.setMode(ROOT, 0o755);
    }),
  },
  {
    fault: "ignores whiteouts",
    foundBy: "a whiteout hides a file",
    open: sealing((request) => ({ ...request, changeset: { ...request.changeset, whiteouts: [] } })),
  },
  {
    fault: "forgets that directories are opaque",
    foundBy: "an opaque directory shows nothing from below",
    open: sealing((request) => ({ ...request, changeset: { ...request.changeset, opaques: [] } })),
  },
  {
    fault: "tells no deletions",
    foundBy: "changes of a writable layer: a removed file",
    open: (spec) =>
      new (class extends VfsDriver {
        override changes(id: CacheId, parent: CacheId | undefined): Change[] {
          return super.changes(id, parent).filter(({ kind }) => kind !== "delete");
        }
      })(spec),
  },
  {
    fault: "lets writable layers write to their parents",
    foundBy: "writing reaches no layer below and no sibling",
    open: (spec) =>
      new (class extends VfsDriver {
        override createReadWrite(id: CacheId, parent: CacheId | undefined, options?: CreateOptions): void {
          super.createReadWrite(id, parent, options);
          if (parent !== undefined) shareFiles(this.locate(parent).dir, this.locate(id).dir);
        }
      })(spec),
  },
  {
    fault: "refuses to remove what is not there",
    foundBy: "removing twice is no error",
    open: (spec) =>
      new (class extends VfsDriver {
        override async remove(id: CacheId): Promise<void> {
          if (!this.exists(id)) throw new Error(`There is no layer ${id}`);
          await super.remove(id);
        }
      })(spec),
  },
  {
    fault: "leaves mounts after they were put",
    foundBy: "what `get` mounts is one mount, and `put` leaves none",
    needs: "overlay",
    open: (spec) =>
      new (class extends OverlayDriver {
        override put(): Promise<void> {
          return Promise.resolve();
        }
      })(spec),
  },
];

function withoutNanoseconds(tree: RootedDir, path: LayerPath): void {
  const stat = tree.stat(path);
  if (stat !== undefined) tree.setTimes(path, { atime: stat.atime, mtime: { sec: stat.mtime.sec, nsec: 0 } });
}

/** Parts a file from its other names. */
export function withoutLink(tree: RootedDir, path: LayerPath): void {
  const stat = tree.stat(path);
  if (stat?.type !== "file" || stat.nlink < 2) return;
  const content = new Uint8Array(stat.size);
  {
    using file = tree.openRead(path);
    file.read(content);
  }
  tree.unlink(path);
  using copy = tree.create(path, stat.mode);
  copy.write(content);
  copy.setTimes(stat.atime, stat.mtime);
}

/** Makes the files of one tree those of another. */
function shareFiles(from: string, to: string): void {
  using tree = RootedDir.open(from);
  for (const path of pathsOf(tree)) {
    if (tree.stat(path)?.type !== "file" || !/^[\x20-\x7e]*$/.test(path)) continue;
    rmSync(`${to}/${path}`);
    linkSync(`${from}/${path}`, `${to}/${path}`);
  }
}

/** All paths, what lies in a directory before the directory itself, so that it can be given its time again. */
export function pathsOf(tree: RootedDir, dir: LayerPath = ROOT): readonly LayerPath[] {
  const inside = tree.list(dir).flatMap(({ name }) => {
    const path = joinPath(dir, name);
    return tree.stat(path)?.type === "dir" ? pathsOf(tree, path) : [path];
  });
  return [...inside, dir];
}
