// SPDX-License-Identifier: Apache-2.0
/**
 * What every driver refuses, and how it reports failures, in the same words.
 *
 * @module
 */
import { setTimeout } from "node:timers/promises";
import { StrataError } from "../../core/errors.ts";
import { fromOsError, hasErrno } from "../../host/errno.ts";
import { pathExists, removeTreeInTurns } from "../../host/files.ts";
import type { CacheId } from "../../core/ids.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { unmountBelow } from "./mounting.ts";
import type { Awaitable, CreateOptions, ProtoDriver } from "../interfaces/proto_driver.ts";

/** Five seconds in all: Docker's numbers. */
const REMOVE_TRIES_MAX = 50;
const REMOVE_PAUSE_MS = 100;

/**
 * The location of a layer that is there.
 * @throws {StrataError} `NOT_FOUND`
 */
export function requireLayer(location: LayerLocation): LayerLocation {
  if (pathExists(location.dir)) return location;
  throw new StrataError("NOT_FOUND", `Cannot use layer ${location.cacheId}: "${location.dir}" does not exist`, {
    kind: "layer directory",
    ref: location.cacheId,
  });
}

/**
 * Makes sure that a new layer replaces none.
 * @throws {StrataError} `CONFLICT`
 */
export function requireAbsent(location: LayerLocation): void {
  if (!pathExists(location.dir)) return;
  throw new StrataError("CONFLICT", `Cannot make layer ${location.cacheId}: "${location.dir}" exists; use a fresh id`, {
    kind: "layer directory",
    name: location.cacheId,
  });
}

/**
 * Makes sure that the driver has a layer.
 * @throws {StrataError} `NOT_FOUND`
 */
export function requireMade(driver: Pick<ProtoDriver, "exists">, id: CacheId): void {
  if (driver.exists(id)) return;
  throw new StrataError("NOT_FOUND", `Cannot use layer ${id}: the driver has none of that name`, {
    kind: "layer directory",
    ref: id,
  });
}

/**
 * Makes sure that the driver has no layer of this id.
 * @throws {StrataError} `CONFLICT`
 */
export function requireUnused(driver: Pick<ProtoDriver, "exists">, id: CacheId): void {
  if (!driver.exists(id)) return;
  throw new StrataError("CONFLICT", `Cannot make layer ${id}: the driver has one of that name; use a fresh id`, {
    kind: "layer directory",
    name: id,
  });
}

/**
 * Refuses the options of writable layers for one that is not: its content is what it is.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function refuseStorageOptions({ storageOptions = {} }: CreateOptions): void {
  for (const name of Object.keys(storageOptions)) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot use the storage option "${name}": only writable layers have any; leave it out`,
      { argument: "storageOptions" },
    );
  }
}

/**
 * Refuses options of writable layers that a driver does not have.
 * @throws {StrataError} `NOT_SUPPORTED` for a limit, `INVALID_ARGUMENT` for an unknown option
 */
export function requireKnownStorageOptions({ storageOptions = {} }: CreateOptions, known: readonly string[]): void {
  const name = Object.keys(storageOptions).find((name) => !known.includes(name));
  if (name === undefined) return;
  const message = `Cannot use the storage option "${name}": the driver does not have it; leave it out`;
  if (name === "size" || name === "inodes") throw new StrataError("NOT_SUPPORTED", message, { feature: "quota" });
  throw new StrataError("INVALID_ARGUMENT", message, { argument: "storageOptions" });
}

/**
 * Calls, and gives failures of the system their public form.
 * @param action completes "Cannot …"
 * @throws {StrataError}
 */
export function attempt<T>(action: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw fromOsError(error, action);
  }
}

/**
 * As {@link attempt}, for what may take a while.
 * @param action completes "Cannot …"
 * @throws {StrataError}
 */
export async function translated<T>(action: string, act: () => Awaitable<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw fromOsError(error, action);
  }
}

/**
 * Removes a tree and all mounts below it, without stopping the event loop. What somebody mounts meanwhile is unmounted,
 * too, and what is in use for a moment is waited for, as Docker does (moby, containerfs/rm.go).
 * @param action completes "Cannot …"
 * @throws {StrataError}
 */
export async function removeTree(action: string, path: string): Promise<void> {
  for (let tries = 1;; tries++) {
    await unmountBelow(path);
    try {
      return await removeTreeInTurns(path);
    } catch (error) {
      if (tries === REMOVE_TRIES_MAX || !hasErrno(error, "EBUSY", "EXDEV", "ENOTEMPTY")) {
        throw fromOsError(error, action);
      }
    }
    await setTimeout(REMOVE_PAUSE_MS);
  }
}

/**
 * The topmost layer of a stack.
 * @throws {StrataError} `INVALID_ARGUMENT` for an empty stack
 */
export function topOf(stack: readonly LayerLocation[]): LayerLocation {
  const [top] = stack;
  if (top !== undefined) return top;
  throw new StrataError("INVALID_ARGUMENT", "Cannot view a stack of layers: it is empty", { argument: "stack" });
}
