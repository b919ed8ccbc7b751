// SPDX-License-Identifier: Apache-2.0
/**
 * The version, as `deno.json` has it. A constant, so that `--version` reads no file.
 *
 * @module
 */

/** What `strata --version` prints. */
export const VERSION = "0.1.0";
