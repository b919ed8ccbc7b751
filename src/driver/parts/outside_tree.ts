// SPDX-License-Identifier: Apache-2.0
/**
 * What drivers have in common that use trees of other stores: which trees they take, and what they refuse to do with them.
 *
 * @module
 */
import { isAbsolute } from "node:path";
import { StrataError } from "../../core/errors.ts";
import { directoryExists, realPath } from "../../host/files.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";

/**
 * Makes sure that a directory can be stood for: it is there, and neither in the driver's home nor around it. What lies in
 * the home would be removed as a layer of its own; and a layer that holds the home would hold itself.
 * @returns its path without symlinks
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function requireOutside(dir: string, { home }: { readonly home: string }): string {
  const reason = whyNotOutside(dir, home);
  if (reason === undefined) return realPath(dir);
  throw new StrataError("INVALID_ARGUMENT", `Cannot use the layer "${dir}" of another store: ${reason}`, {
    argument: "outside",
  });
}

/**
 * Makes sure that the directory that a layer stands for can be looked into, and is the one that was noted.
 * @throws {StrataError} `CORRUPT`
 */
export function requirePresent(outside: string): void {
  if (directoryExists(outside)) {
    // It was noted without symlinks: one that is there now was put there since, and can lead anywhere.
    if (realPath(outside) === outside) return;
    throw new StrataError(
      "CORRUPT",
      `Cannot read "${outside}": a layer stands for this directory of another store, and a symlink on the way there leads ` +
        "elsewhere now; repair that store, or remove the layer",
      { path: outside },
    );
  }
  throw new StrataError(
    "CORRUPT",
    `Cannot read "${outside}": a layer stands for this directory of another store, and it is not there; mount or restore ` +
      "that store, or remove the layer",
    { path: outside },
  );
}

/** Refuses to change a layer whose files belong to another store. */
export function refuseOutside({ cacheId }: LayerLocation, outside: string): never {
  throw new StrataError(
    "IN_USE",
    `Cannot change layer ${cacheId}: its files lie in "${outside}", in a store that is only read; make a layer on it, or ` +
      "a copy of it",
    { kind: "layer", name: cacheId, usedBy: [outside] },
  );
}

function whyNotOutside(dir: string, home: string): string | undefined {
  if (!isAbsolute(dir)) return "its path is relative; give one that begins at the root";
  if (!directoryExists(dir)) return "there is no such directory; check the path, and that the store is mounted";
  const [there, here] = [`${realPath(dir)}/`, `${realPath(home)}/`];
  if (there.startsWith(here)) return "it lies in the driver's own home; use the layer that has it";
  return here.startsWith(there) ? "the driver's home lies in it; give a layer's directory" : undefined;
}
