// SPDX-License-Identifier: Apache-2.0
/**
 * Where the layers of containers/storage's overlay driver lie, and in which form. Its layout is Docker's overlay2
 * (`overlay/layout.ts`) with these oddities:
 *
 * - short names may lead to a further home, or be missing: then the layers' `link` files tell (`recreateSymlinks` there)
 * - `diff1`, `diff2` …: below `diff`, what the layer held before its owners were changed
 * - the home's `.has-mount-program` says whether a mount program wrote all layers
 * - the attribute `user.containers.override_stat` on the root of a tree: attributes tell owners and modes (`force_mask`)
 *
 * @module
 */
import { dirname } from "node:path";
import { StrataError } from "../../core/errors.ts";
import type { CacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import { directoryExists, listNames, pathExists, readSymlink, readText, statPath } from "../../host/files.ts";
import { type OpenRootOptions, RootedDir } from "../../host/rooted_dir.ts";
import { OverrideDir } from "../../changeset/override_dir.ts";
import { OVERRIDE_XATTR } from "../../changeset/override_stat.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { OutsideTrait } from "../interfaces/outside_layers.ts";
import { attempt, requireLayer } from "../parts/requests.ts";
import { findLinkName, lowerOf, readLowers } from "../overlay/layout.ts";
import { ProgramDir } from "../overlay/program_dir.ts";
import { currentMarks, type MarkSpace } from "../overlay/whiteouts.ts";
import { locateIn, outsideCacheId } from "./outside_homes.ts";

const LINK_TARGET = /^\.\.\/([^/]+)\/diff\/?$/;
/** The directory of a layer that was made from an image for composefs: contents under their digests. */
const COMPOSEFS = "composefs-data";

/** One home and those that follow it. */
export class OverlayHomes {
  readonly #homes: readonly string[];
  readonly #options: OpenRootOptions;
  /** Those whose layers a mount program wrote. */
  readonly #ofPrograms: ReadonlySet<string>;
  #links: ReadonlyMap<string, LayerLocation> | undefined;

  /** The root's own home comes first. */
  constructor(homes: readonly [string, ...string[]], options: OpenRootOptions = {}) {
    this.#homes = homes;
    this.#options = options;
    this.#ofPrograms = new Set(homes.filter(isOfProgram));
  }

  /** In which attributes layers have their marks: those of a user who is not root cannot be `trusted`. */
  get marks(): MarkSpace {
    const [own = ""] = this.#homes;
    const isRoots = (statPath(own)?.uid ?? 0) === 0;
    return isRoots || this.#ofPrograms.has(own) ? currentMarks() : "user";
  }

  /** Where a layer lies. */
  locate(id: CacheId): LayerLocation {
    return locateIn(this.#homes, id);
  }

  /**
   * The layers below one, topmost first, as its directory states them.
   * @throws {StrataError} `CORRUPT` when one of them cannot be found
   */
  parentsOf(id: CacheId): readonly LayerLocation[] {
    const { dir } = this.locate(id);
    return readLowers(dir).map((lower) => this.#linked(lower) ?? lost(dir, lower));
  }

  /** The directories that hold a layer's own files, topmost first. */
  treesOf(location: LayerLocation): [string, ...string[]] {
    const { dir } = requireLayer(location);
    if (pathExists(`${dir}/${COMPOSEFS}`)) throw composefs(dir);
    const rotated: string[] = [];
    for (let n = 1; directoryExists(`${dir}/diff${n}`); n++) rotated.push(`${dir}/diff${n}`);
    return [`${dir}/diff`, ...rotated];
  }

  /** One of them, as if the kernel had written it. */
  openTree(tree: string): RootedDir {
    const form = this.formOf(tree);
    const overrides = form.includes("override") ? "honoured" : "ignored";
    if (form.includes("program")) return ProgramDir.open(tree, { ...this.#options, overrides });
    return overrides === "honoured" ? OverrideDir.open(tree, this.#options) : RootedDir.open(tree, this.#options);
  }

  /** In which form one of them is kept. */
  formOf(tree: string): readonly OutsideTrait[] {
    using dir = RootedDir.open(tree, this.#options);
    const isOverridden = dir.xattrs(ROOT).has(OVERRIDE_XATTR);
    const isPrograms = this.#ofPrograms.has(dirname(dirname(tree)));
    return [...(isPrograms ? ["program" as const] : []), ...(isOverridden ? ["override" as const] : [])];
  }

  #linked(lower: string): LayerLocation | undefined {
    for (const home of this.#homes) {
      const id = outsideCacheId(LINK_TARGET.exec(readSymlink(`${home}/${lower}`) ?? "")?.[1] ?? "");
      if (id !== undefined) return { cacheId: id, dir: `${home}/${id}` };
    }
    this.#links ??= this.#readLinks();
    return this.#links.get(lower);
  }

  #readLinks(): ReadonlyMap<string, LayerLocation> {
    const links = new Map<string, LayerLocation>();
    for (const home of [...this.#homes].reverse()) {
      for (const name of listNames(home)) {
        const cacheId = outsideCacheId(name);
        const link = cacheId === undefined ? undefined : findLinkName(`${home}/${name}`);
        if (cacheId !== undefined && link !== undefined) links.set(lowerOf(link), { cacheId, dir: `${home}/${name}` });
      }
    }
    return links;
  }
}

function isOfProgram(home: string): boolean {
  return attempt(`read layers in "${home}"`, () => readText(`${home}/.has-mount-program`)?.trim() === "true");
}

function lost(dir: string, lower: string): never {
  const path = `${dir}/lower`;
  throw new StrataError(
    "CORRUPT",
    `Cannot use "${path}": no layer has the short name "${lower}"; name the further roots that the store uses, or repair it ` +
      "with the tool that it belongs to",
    { path },
  );
}

function composefs(dir: string): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot read "${dir}": the layer is kept for composefs, with contents under their digests; pull the image without it`,
    { feature: "composefs" },
  );
}
