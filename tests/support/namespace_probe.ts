// SPDX-License-Identifier: Apache-2.0
/**
 * Says what a process knows of its user namespace.
 *
 * @module
 */
import { hasSingleUser, inUserNamespace } from "../../src/host/namespaces/user_namespace.ts";

console.log(`${inUserNamespace() ? "inside" : "outside"}, ${hasSingleUser() ? "one user" : "many users"}`);
