// SPDX-License-Identifier: Apache-2.0
/**
 * Marks that this process cannot see. Root's overlays have theirs in `trusted.` attributes, which are not there for anybody
 * else: to others an opaque directory looks like any other, and what it hides would show again.
 *
 * Source: xattr(7), "Trusted extended attributes".
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { statPath } from "../../host/files.ts";
import { inUserNamespace } from "../../host/namespaces/user_namespace.ts";
import { currentMarks } from "./whiteouts.ts";

/** Whose files are those of users that a namespace does not have: /proc/sys/kernel/overflowuid, where nobody changed it. */
const UNMAPPED_UID = 65_534;

/**
 * Refuses to look at several layers of a home at once, where it cannot be seen what one hides of another.
 * @throws {StrataError} `NOT_PERMITTED`
 */
export function requireVisibleMarks(home: string): void {
  if (currentMarks() === "trusted" || !isRoots(home)) return;
  throw new StrataError(
    "NOT_PERMITTED",
    `Cannot tell what the layers in "${home}" hide of each other: root made them, and only root can read their marks; run as ` +
      "root, or export the layers one by one",
    { path: home },
  );
}

/** Seen from inside a namespace, root outside of it is a user that it does not have. */
function isRoots(home: string): boolean {
  return statPath(home)?.uid === (inUserNamespace() ? UNMAPPED_UID : 0);
}
