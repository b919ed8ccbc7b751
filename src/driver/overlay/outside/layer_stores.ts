// SPDX-License-Identifier: Apache-2.0
/**
 * Additional layer stores: directories in which a program shows layers, by the digest of their tables of contents, before
 * all of their files are there.
 *
 *   <store>/[<image reference in base64>/]<toc digest>/
 *     diff/    the layer's own files, in the kernel's form
 *     info     what is known of the layer: JSON
 *     blob     the layer as it is distributed
 *     use      never there: trying to make it tells the store that the layer is used, and rmdir(2) of the layer's
 *              directory that it is not any more
 *
 * Source: containers/storage, drivers/overlay/overlay.go.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isAbsolute } from "node:path";
import type { Digest } from "../../../core/digest.ts";
import { StrataError } from "../../../core/errors.ts";
import { directoryExists } from "../../../host/files.ts";
import { pokeCreate, pokeRmdir, servedType } from "../../../host/served_files.ts";

/** An additional layer store. */
export interface AdditionalLayerStore {
  /** Absolute path. */
  readonly path: string;
  /** `references`: layers are found below the images that name them. */
  readonly layout: "digests" | "references";
}

/** What a layer is looked up by. */
export interface AdditionalLayerKey {
  readonly tocDigest: Digest;
  /** The image that names it. */
  readonly ref: string;
}

/**
 * The stores that a value of `overlay2.additionallayerstore` names: `path` or `path:ref`, between commas.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parseLayerStores(name: string, value: string): readonly AdditionalLayerStore[] {
  return value === "" ? [] : value.split(",").map((item) => parseStore(name, item));
}

/** The directory of the first store's layer that is complete; `undefined` when no store has it. */
export async function findAdditionalLayer(
  stores: readonly AdditionalLayerStore[],
  { tocDigest, ref }: AdditionalLayerKey,
): Promise<string | undefined> {
  for (const { path, layout } of stores) {
    const dir = [path, ...(layout === "references" ? [Buffer.from(ref).toString("base64")] : []), tocDigest].join("/");
    const types = await Promise.all(["diff", "info", "blob"].map((name) => servedType(`${dir}/${name}`)));
    if (types.join() === "dir,other,other") return dir;
  }
  return undefined;
}

/** Tells a store that one of its layers is used once more. */
export async function announceUse(dir: string): Promise<void> {
  await pokeCreate(`${dir}/use`);
}

/** Tells a store that one of its layers is used once less. Nothing of a store is removed: the directory is not empty. */
export async function announceRelease(dir: string): Promise<void> {
  await pokeRmdir(dir);
}

function parseStore(name: string, item: string): AdditionalLayerStore {
  const [path = "", ...flags] = item.split(":");
  const reason = flags.join() !== "ref" && flags.length > 0
    ? 'only ":ref" may follow the path'
    : !isAbsolute(path)
    ? "its path is relative; give one that begins at the root"
    : directoryExists(path)
    ? undefined
    : "there is no such directory; check the path, and that the store's program runs";
  if (reason === undefined) return { path, layout: flags.length > 0 ? "references" : "digests" };
  throw new StrataError("INVALID_ARGUMENT", `Cannot use the store "${item}" of the option "${name}": ${reason}`, {
    argument: "options",
  });
}
