// SPDX-License-Identifier: Apache-2.0
/**
 * Setting owners that may be refused: in a user namespace only mapped ids can own files. user_namespaces(7).
 *
 * @module
 */
import { isOsError } from "../host/errno.ts";
import type { Ownership } from "./change.ts";

/**
 * Sets an owner, if the ownership asks for owners at all.
 * @returns whether it was refused, where it may be
 * @throws {OsError} where it may not be
 */
export function giveOwner(ownership: Ownership, set: () => void): "given" | "refused" {
  if (ownership === "self") return "refused";
  try {
    set();
    return "given";
  } catch (error) {
    if (ownership !== "archive-where-possible" || !isOsError(error, "EINVAL", "EPERM")) throw error;
    return "refused";
  }
}
