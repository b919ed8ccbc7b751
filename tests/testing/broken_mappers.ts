// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers that change owners, with one fault each. The first two are faults of containers/storage.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { chownTreeByMaps } from "../../src/changeset/chown_tree.ts";
import type { FileStat } from "../../src/core/file_stat.ts";
import { containerShift, isIdentity } from "../../src/core/id_map.ts";
import type { CacheId } from "../../src/core/ids.ts";
import { type LayerPath, ROOT } from "../../src/core/layer_path.ts";
import type { Driver } from "../../src/driver/driver.ts";
import type { DriverSpec } from "../../src/driver/interfaces/driver_spec.ts";
import type { UpdateIdMapOptions } from "../../src/driver/interfaces/layer_id_maps.ts";
import type { TemplateOptions } from "../../src/driver/interfaces/proto_driver.ts";
import { VfsDriver } from "../../src/driver/vfs/vfs_driver.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { type BrokenDriver, pathsOf, withoutLink } from "./broken_drivers.ts";

const ONLY_OWNERS = "other owners change nothing else of a layer, and no layer below";

/** What a fault is made with. */
interface Spoiling {
  readonly tree: RootedDir;
  readonly path: LayerPath;
  /** What it was before. */
  readonly before: FileStat;
  readonly options: UpdateIdMapOptions;
}

/** Spoils objects after owners were changed. */
function mapping(spoil: (spoiling: Spoiling) => void): (spec: DriverSpec) => Driver {
  return (spec) =>
    new (class extends VfsDriver {
      override updateLayerIdMap(id: CacheId, options: UpdateIdMapOptions): void {
        using tree = RootedDir.open(this.locate(id).dir);
        const before = new Map(pathsOf(tree).map((path) => [path, tree.stat(path)]));
        super.updateLayerIdMap(id, options);
        for (const [path, stat] of before) {
          if (stat === undefined) continue;
          spoil({ tree, path, before: stat, options });
          if (stat.type === "dir") tree.setTimes(path, stat);
        }
      }
    })(spec);
}

function withOwnerOf({ tree, path, before }: Spoiling): void {
  tree.setOwner(path, before.uid, before.gid);
  if (before.type !== "symlink") tree.setMode(path, before.mode);
}

const drivers: readonly BrokenDriver[] = [
  {
    fault: "leaves those as they are who have the number of the container's root",
    foundBy: ONLY_OWNERS,
    open: mapping((spoiling) => {
      if (spoiling.before.uid === 1000 && spoiling.before.gid === 1000) withOwnerOf(spoiling);
    }),
  },
  {
    fault: "leaves names of one character out",
    foundBy: ONLY_OWNERS,
    open: mapping((spoiling) => {
      if (spoiling.path.length === 1) withOwnerOf(spoiling);
    }),
  },
  {
    fault: "leaves the root directory out",
    foundBy: ONLY_OWNERS,
    open: mapping((spoiling) => {
      if (spoiling.path === ROOT) withOwnerOf(spoiling);
    }),
  },
  {
    fault: "loses setuid with the owner",
    foundBy: ONLY_OWNERS,
    open: mapping(({ tree, path, before }) => {
      if (before.type === "file") tree.setMode(path, before.mode & 0o777);
    }),
  },
  {
    fault: "loses file capabilities with the owner",
    foundBy: ONLY_OWNERS,
    open: mapping(({ tree, path }) => {
      for (const name of tree.xattrs(path).keys()) {
        if (name === "security.capability") tree.removeXattr(path, name);
      }
    }),
  },
  {
    fault: "parts hard links",
    foundBy: ONLY_OWNERS,
    open: mapping(({ tree, path }) => {
      const stat = tree.stat(path);
      withoutLink(tree, path);
      if (stat?.type !== "file") return;
      tree.setOwner(path, stat.uid, stat.gid);
      tree.setMode(path, stat.mode);
    }),
  },
  {
    fault: "changes times with owners",
    foundBy: ONLY_OWNERS,
    open: mapping(({ tree, path, before: { type, atime } }) => {
      if (type !== "dir") tree.setTimes(path, { atime, mtime: { ...atime, nsec: 0 } });
    }),
  },
  {
    fault: "does not remember under which ids a layer is kept",
    foundBy: ONLY_OWNERS,
    open: (spec) =>
      new (class extends VfsDriver {
        override updateLayerIdMap(id: CacheId, { from, to }: UpdateIdMapOptions): void {
          using tree = RootedDir.open(this.locate(id).dir);
          chownTreeByMaps(tree, { from, to });
        }
      })(spec),
  },
  {
    fault: "gives nothing back",
    foundBy: "owners are changed again and back",
    open: mapping((spoiling) => {
      if (isIdentity(spoiling.options.to)) withOwnerOf(spoiling);
    }),
  },
  {
    fault: "changes owners before it knows that it can",
    foundBy: "owners that maps do not hold, and wrong maps, change nothing",
    open: (spec) =>
      new (class extends VfsDriver {
        override updateLayerIdMap(id: CacheId, options: UpdateIdMapOptions): void {
          {
            using tree = RootedDir.open(this.locate(id).dir);
            const stat = tree.stat(ROOT);
            if (stat !== undefined) tree.setOwner(ROOT, containerShift(options.from).uid(stat.uid) + 1, stat.gid);
          }
          super.updateLayerIdMap(id, options);
        }
      })(spec),
  },
  {
    fault: "forgets that the copies of mapped layers are mapped",
    foundBy: "what is made of a mapped layer is mapped, or as it is asked for",
    open: (spec) =>
      new (class extends VfsDriver {
        override createFromTemplate(id: CacheId, options: TemplateOptions): void {
          super.createFromTemplate(id, options);
          rmSync(`${spec.home}/id-maps/${id}`, { force: true });
        }
      })(spec),
  },
  {
    fault: "maps layers that there are not",
    foundBy: "a layer that does not exist has no owners",
    open: (spec) =>
      new (class extends VfsDriver {
        override updateLayerIdMap(id: CacheId, options: UpdateIdMapOptions): void {
          if (this.exists(id)) super.updateLayerIdMap(id, options);
        }
      })(spec),
  },
];

/** The drivers. */
export const brokenMappers: readonly BrokenDriver[] = drivers.map((driver) => ({ ...driver, needs: "root" }));
