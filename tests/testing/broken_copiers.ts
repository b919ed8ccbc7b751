// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers that copy templates, or give contents, with one fault each.
 *
 * @module
 */
import { linkSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { fromText, toText } from "../../src/core/bytes.ts";
import type { CacheId } from "../../src/core/ids.ts";
import { type LayerPath, parseLayerPath, ROOT } from "../../src/core/layer_path.ts";
import type { Driver } from "../../src/driver/driver.ts";
import type { DiffGetter } from "../../src/driver/interfaces/diff_driver.ts";
import type { DriverSpec } from "../../src/driver/interfaces/driver_spec.ts";
import type { LayerLocation } from "../../src/driver/interfaces/layer_sealer.ts";
import type { TemplateOptions } from "../../src/driver/interfaces/proto_driver.ts";
import { VfsDriver } from "../../src/driver/vfs/vfs_driver.ts";
import { openForRead } from "../../src/host/files.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { type BrokenDriver, pathsOf, withoutLink } from "./broken_drivers.ts";

const SAME_TREE = "a copy of a layer is the same tree with the same changes, on a parent and without";
const ALL_GIVEN = "every file that a layer brought is given by the name in its archive";

/** Spoils the tree of every copy. */
function copying(spoil: (tree: RootedDir, path: LayerPath) => void): (spec: DriverSpec) => Driver {
  return (spec) =>
    new (class extends VfsDriver {
      override createFromTemplate(id: CacheId, options: TemplateOptions): void {
        super.createFromTemplate(id, options);
        using tree = RootedDir.open(this.locate(id).dir);
        const before = new Map(pathsOf(tree).map((path) => [path, tree.stat(path)]));
        for (const [path, stat] of before) {
          spoil(tree, path);
          if (stat?.type === "dir") tree.setTimes(path, stat);
        }
      }
    })(spec);
}

/** Gives contents in another way. */
function giving(open: (files: DiffGetter, path: LayerPath) => ReturnType<DiffGetter["openRead"]>) {
  return (spec: DriverSpec): Driver =>
    new (class extends VfsDriver {
      override diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
        const files = super.diffGetter(stack);
        return { openRead: (path) => open(files, path), [Symbol.dispose]: () => files[Symbol.dispose]() };
      }
    })(spec);
}

/** The drivers. */
export const brokenCopiers: readonly BrokenDriver[] = [
  { fault: "parts hard links when it copies a layer", foundBy: SAME_TREE, open: copying(withoutLink) },
  {
    fault: "copies no attributes",
    foundBy: SAME_TREE,
    open: copying((tree, path) => {
      for (const name of tree.xattrs(path).keys()) tree.removeXattr(path, name);
    }),
  },
  {
    fault: "takes what a copy lies on for what is to be copied",
    foundBy: SAME_TREE,
    open: (spec) =>
      new (class extends VfsDriver {
        override createFromTemplate(id: CacheId, { parent, template, ...options }: TemplateOptions): void {
          super.createFromTemplate(id, { ...options, parent, template: parent ?? template });
        }
      })(spec),
  },
  {
    fault: "loses setuid when it copies a layer",
    foundBy: "a copy of a layer keeps owners, setuid, devices, pipes and privileged attributes",
    needs: "root",
    open: copying((tree, path) => {
      const stat = tree.stat(path);
      if (stat?.type === "file") tree.setMode(path, stat.mode & 0o777);
    }),
  },
  {
    fault: "lets copies share their template's files",
    foundBy: "a copy of a writable layer is the same tree, and each is written to by itself",
    open: (spec) =>
      new (class extends VfsDriver {
        override createFromTemplate(id: CacheId, options: TemplateOptions): void {
          super.createFromTemplate(id, options);
          const [from, to] = [this.locate(options.template).dir, this.locate(id).dir];
          using tree = RootedDir.open(to);
          const root = tree.stat(ROOT);
          for (const name of readdirSync(from)) {
            if (!statSync(`${from}/${name}`, { throwIfNoEntry: false })?.isFile()) continue;
            rmSync(`${to}/${name}`);
            linkSync(`${from}/${name}`, `${to}/${name}`);
          }
          if (root !== undefined) tree.setTimes(ROOT, root);
        }
      })(spec),
  },
  {
    fault: "opens the root directories of copies",
    foundBy: "a copy of a writable layer without a parent is the same tree",
    open: copying((tree, path) => {
      if (path === ROOT) tree.setMode(path, 0o755);
    }),
  },
  {
    fault: "removes copies with their template",
    foundBy: "a copy outlives its template, and can be a parent",
    open: (spec) =>
      new (class extends VfsDriver {
        readonly #copies = new Map<CacheId, CacheId>();
        override createFromTemplate(id: CacheId, options: TemplateOptions): void {
          super.createFromTemplate(id, options);
          this.#copies.set(options.template, id);
        }
        override async remove(id: CacheId): Promise<void> {
          const copy = this.#copies.get(id);
          this.#copies.delete(id);
          if (copy !== undefined) await super.remove(copy);
          await super.remove(id);
        }
      })(spec),
  },
  {
    fault: "leaves what it could not copy to its end",
    foundBy: "a copy that cannot be made leaves nothing",
    open: (spec) =>
      new (class extends VfsDriver {
        override createFromTemplate(id: CacheId, options: TemplateOptions): void {
          try {
            super.createFromTemplate(id, options);
          } catch (error) {
            mkdirSync(this.locate(id).dir, { recursive: true });
            throw error;
          }
        }
      })(spec),
  },
  {
    fault: "takes names for text",
    foundBy: ALL_GIVEN,
    open: giving((files, path) => files.openRead(parseLayerPath(fromText(toText(path) ?? "no text")))),
  },
  {
    fault: "gives the contents of the layer below",
    foundBy: ALL_GIVEN,
    open: (spec) =>
      new (class extends VfsDriver {
        override diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
          return super.diffGetter([stack.at(-1) ?? stack[0]]);
        }
      })(spec),
  },
  {
    fault: "gives the contents of the newest layer",
    foundBy: "a layer's contents are those that it has, not those of a layer above",
    open: (spec) =>
      new (class extends VfsDriver {
        #newest: LayerLocation | undefined;
        override createReadWrite(...args: Parameters<VfsDriver["createReadWrite"]>): void {
          super.createReadWrite(...args);
          this.#newest = this.locate(args[0]);
        }
        override diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
          return super.diffGetter([this.#newest ?? stack[0]]);
        }
      })(spec),
  },
  {
    fault: "gives nothing for what is not there",
    foundBy: "what a layer has not brought, or what is no file, has no content",
    open: giving((files, path) => {
      try {
        return files.openRead(path);
      } catch {
        return openForRead("/dev/null");
      }
    }),
  },
];
