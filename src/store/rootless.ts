// SPDX-License-Identifier: Apache-2.0
/**
 * Stores of ordinary users: whether one is to be opened inside a user namespace.
 *
 * @module
 */
import { overlayRefusal } from "../driver/overlay/mounting/namespace_trial.ts";
import { priorDriver } from "../driver/registry.ts";
import { namespaceMaker } from "../host/namespaces/user_namespace.ts";
import { pathExists } from "../host/files.ts";
import { effectiveUser } from "../host/process.ts";
import { mayWrite, requireReadable } from "../metadata/root_access.ts";
import { defaultRoot, type OpenOptions } from "./open.ts";

/**
 * Whether this process must enter a user namespace before it opens a store: as an ordinary user, for layers that lie in
 * overlays, and for a new store where overlays work in a namespace. Layers that lie in plain directories need none.
 * @throws {StrataError} `AMBIGUOUS` when the root holds several drivers' layers, `NOT_PERMITTED` when it is another user's
 */
export async function needsUserNamespace(
  options: Pick<OpenOptions, "root" | "driver">,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<"yes" | "no"> {
  // The variable alone proves nothing: it may have come along from elsewhere.
  if (effectiveUser() === 0 || namespaceMaker(environment) !== undefined) return "no";
  const root = options.root ?? defaultRoot(environment);
  requireReadable(root);
  // Nothing is mounted or made in a store that this user only reads.
  if (pathExists(root) && !mayWrite(root)) return "no";
  const driver = options.driver ?? priorDriver(root);
  if (driver !== undefined) return driver === "vfs" ? "no" : "yes";
  return await overlayRefusal(root) === undefined ? "yes" : "no";
}
