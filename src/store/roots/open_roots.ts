// SPDX-License-Identifier: Apache-2.0
/**
 * Opening further roots, whosever they are: what lies in them tells.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { fromOsError } from "../../host/errno.ts";
import { directoryExists, realPath } from "../../host/files.ts";
import { containersDrivers } from "../../metadata/containers_storage/layout.ts";
import { requireReadable } from "../../metadata/root_access.ts";
import type { WorkerPool } from "../../worker/pool.ts";
import { openContainersRoot, recogniseContainersRoot } from "./containers_root.ts";
import type { ReadOnlyRoot } from "./read_only_root.ts";
import { isStrataRoot, openStrataRoot } from "./strata_root.ts";

/** What opening further roots needs. */
export interface OpenRootsRequest {
  /** In the order in which they are to be looked up. */
  readonly paths: readonly string[];
  /** The root that is written to: it cannot be one of them. */
  readonly ownRoot: string;
  /** The driver of that root: of a root with layers of several drivers, these are meant. */
  readonly driver: string;
  /** Runs the heavy work. */
  readonly pool: WorkerPool;
}

/**
 * Opens roots that are only read. Nothing is written to them, not even a lock.
 * @throws {StrataError} `NOT_FOUND` when there is no such directory, `INVALID_ARGUMENT` when it is no root, or the own one,
 *   `NOT_SUPPORTED` for a driver that this package does not have, `AMBIGUOUS`, `NOT_PERMITTED`
 */
export async function openRoots(request: OpenRootsRequest): Promise<ReadOnlyRoot[]> {
  try {
    return await openEach(request);
  } catch (error) {
    throw fromOsError(error, `read from ${request.paths.map((path) => `"${path}"`).join(", ")}`);
  }
}

async function openEach({ paths, ownRoot, driver, pool }: OpenRootsRequest): Promise<ReadOnlyRoot[]> {
  const real = [...new Set(paths.map(realDirectory))];
  const siblings = real.filter(recogniseContainersRoot);
  const roots: ReadOnlyRoot[] = [];
  for (const path of real) {
    if (path === ownRoot) throw unusable(path, "it is the store's own root");
    if (siblings.includes(path)) {
      // Their stacks may go on in each other's.
      const others = siblings.filter((other) => other !== path);
      roots.push(openContainersRoot(path, { pool, driver: driverIn(path, driver), siblings: others }));
    } else if (isStrataRoot(path)) {
      roots.push(
        await openStrataRoot(path, { pool, preferred: driver, siblings: real.filter((other) => other !== path) }),
      );
    } else {
      throw unusable(path, 'it holds neither "image" nor "<driver>-layers", by which stores are known');
    }
  }
  return roots;
}

/** Of several drivers' layers those that can be used in place; what is called overlay2 here is overlay there. */
function driverIn(path: string, own: string): string | undefined {
  const name = own === "overlay2" ? "overlay" : own;
  return containersDrivers(path).find((each) => each === name);
}

function realDirectory(path: string): string {
  requireReadable(path);
  if (directoryExists(path)) return realPath(path);
  const message = `Cannot read from "${path}": there is no such directory; check the path`;
  throw new StrataError("NOT_FOUND", message, { kind: "directory", ref: path });
}

function unusable(path: string, why: string): StrataError<"INVALID_ARGUMENT"> {
  const message = `Cannot use "${path}" as a further store: ${why}; give the root of Strata's, Docker's or podman's`;
  return new StrataError("INVALID_ARGUMENT", message, { argument: "read-only-root" });
}
