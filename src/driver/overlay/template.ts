// SPDX-License-Identifier: Apache-2.0
/**
 * Layers as copies of others.
 *
 * @module
 */
import { copyTree } from "../../host/copy_tree.ts";
import { copyForm } from "./layer_form.ts";
import { diffOf } from "./outside/outside_diff.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { CreateOptions } from "../interfaces/proto_driver.ts";

/**
 * Copies a layer's own files, whiteouts and opaque directories among them, into one that has none yet.
 * @throws {OsError}
 */
export function copyDiff(from: string, to: string, { onEntry = () => {} }: Pick<CreateOptions, "onEntry">): void {
  using source = RootedDir.open(diffOf(from));
  using target = RootedDir.open(`${to}/diff`);
  copyTree(source, target, { onEntry });
  copyForm(from, to);
}
