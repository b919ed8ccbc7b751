// SPDX-License-Identifier: Apache-2.0
/**
 * Commands of an ordinary user in a user namespace: where a store's overlays can be mounted there only, a command runs
 * itself once more inside. The environment tells the second run, and all that it starts, which store is meant.
 *
 * @module
 */
import type { CommandSpec, Handover } from "./command.ts";
import { EnvironmentError } from "./errors.ts";
import type { Invocation } from "./invocation.ts";
import { loadStrata } from "./strata.ts";

/**
 * The command in a namespace, when it needs one and is not in one.
 * @throws {EnvironmentError} for a command whose effect would end with the namespace
 */
export async function enterNamespace(
  spec: CommandSpec,
  invocation: Invocation,
  args: readonly string[],
): Promise<Handover | undefined> {
  const { io, globals } = invocation;
  const need = spec.namespace ?? "any";
  if (need === "none" || io.program === undefined) return undefined;
  const { needsUserNamespace } = await loadStrata();
  const { root, driver } = globals;
  const store = { ...(root === undefined ? {} : { root }), ...(driver === undefined ? {} : { driver }) };
  if (await needsUserNamespace(store, io.env) === "no") return undefined;
  if (need === "any") return await handover(invocation, [...io.program, ...args]);
  throw new EnvironmentError(
    `Cannot ${spec.name} here: an ordinary user mounts overlays in a user namespace, which would end with this command`,
    { hint: 'Run "strata unshare" first, and the command in its shell' },
  );
}

/** A command that is to run in a user namespace, with this call's store as the default of all calls inside. */
export async function handover({ io, globals }: Invocation, command: readonly string[]): Promise<Handover> {
  const { defaultRoot, defaultRunRoot, runInUserNamespace } = await loadStrata();
  const env = {
    ...io.env,
    STRATA_ROOT: globals.root ?? defaultRoot(io.env),
    STRATA_RUN_ROOT: globals.runRoot ?? defaultRunRoot(io.env),
    ...(globals.driver === undefined ? {} : { STRATA_DRIVER: globals.driver }),
  };
  return { run: () => runInUserNamespace(command, { env }) };
}
