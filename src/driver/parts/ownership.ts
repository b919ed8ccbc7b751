// SPDX-License-Identifier: Apache-2.0
/**
 * Whose a driver's files are: what this process may do, and what the option `ignore_chown_errors` says of owners that
 * cannot be set.
 *
 * The option is that of containers/storage, in Docker's form: under the driver's name, as in
 * `overlay2.ignore_chown_errors=true`.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { effectiveUser } from "../../host/process.ts";
import { hasSingleUser, inUserNamespace } from "../../host/namespaces/user_namespace.ts";
import type { Ownership } from "../../changeset/change.ts";

/** What becomes of owners that cannot be set: they are left out and recorded, or the layer is refused. */
export type ChownErrors = "ignored" | "refused";

/**
 * The value of `ignore_chown_errors`.
 * @throws {StrataError} `INVALID_ARGUMENT` for what is neither true nor false
 */
export function parseChownErrors(name: string, value: string): ChownErrors {
  if (value === "true" || value === "1") return "ignored";
  if (value === "false" || value === "0") return "refused";
  throw new StrataError("INVALID_ARGUMENT", `Cannot use the option "${name}=${value}": expected "true" or "false"`, {
    argument: "options",
  });
}

/** Whose files are for this process. Where one user is all there is, owners cannot be but left out. */
export function ownershipHere(chownErrors: ChownErrors | undefined): Ownership {
  if (effectiveUser() !== 0) return "self";
  const errors = chownErrors ?? (hasSingleUser() ? "ignored" : "refused");
  if (errors === "ignored") return "archive-where-possible";
  return inUserNamespace() ? "archive-without-devices" : "archive";
}
