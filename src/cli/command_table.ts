// SPDX-License-Identifier: Apache-2.0
/**
 * All commands, in the order in which help lists them.
 *
 * @module
 */
import type { TopCommand } from "./command.ts";
import { adopt } from "./commands/adopt.ts";
import { apply } from "./commands/apply.ts";
import { changes } from "./commands/changes.ts";
import { commit } from "./commands/commit.ts";
import { create } from "./commands/create.ts";
import { data } from "./commands/data.ts";
import { diff } from "./commands/diff.ts";
import { diffSize } from "./commands/diff_size.ts";
import { exists } from "./commands/exists.ts";
import { exportLayer } from "./commands/export.ts";
import { flag } from "./commands/flag.ts";
import { fsck } from "./commands/fsck.ts";
import { gc } from "./commands/gc.ts";
import { images } from "./commands/images.ts";
import { info } from "./commands/info.ts";
import { inspect } from "./commands/inspect.ts";
import { layers } from "./commands/layers.ts";
import { load } from "./commands/load.ts";
import { metadata } from "./commands/metadata.ts";
import { mount } from "./commands/mount.ts";
import { mounts } from "./commands/mounts.ts";
import { name } from "./commands/name.ts";
import { owners } from "./commands/owners.ts";
import { register } from "./commands/register.ts";
import { rm } from "./commands/rm.ts";
import { unmount } from "./commands/unmount.ts";
import { unshare } from "./commands/unshare.ts";
import { verify } from "./commands/verify.ts";

const LAYERS = [register, layers, inspect, exportLayer, verify, rm, name, metadata, flag, data, exists, adopt];
const WRITABLE = [create, mount, unmount, mounts, unshare, changes, diff, diffSize, apply, commit, owners];
const IMAGES = [load, images];
const UPKEEP = [info, gc, fsck];

/** The command table. */
export const COMMANDS: readonly TopCommand[] = [
  ...LAYERS.map((command) => ({ ...command, group: "Layers" }) as const),
  ...WRITABLE.map((command) => ({ ...command, group: "Writable layers and mounts" }) as const),
  ...IMAGES.map((command) => ({ ...command, group: "Images" }) as const),
  ...UPKEEP.map((command) => ({ ...command, group: "Upkeep and insight" }) as const),
];
