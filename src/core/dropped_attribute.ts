// SPDX-License-Identifier: Apache-2.0
/**
 * What an archive asks for and a tree cannot have: found by unpacking, kept with the layer's record, told to the user.
 *
 * @module
 */

/** Something that an archive asked for and the tree does not have. The archive's own bytes keep it (I6). */
export interface DroppedAttribute {
  /** The member's name, fit for a message; cut when it is very long. */
  readonly entry: string;
  /** What was dropped, such as `xattr trusted.overlay.opaque`, `owner 1000:1000`, `mode 4755` or `char`. */
  readonly attribute: string;
  /** Why, as a clause. */
  readonly reason: string;
}
