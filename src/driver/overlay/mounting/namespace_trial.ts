// SPDX-License-Identifier: Apache-2.0
/**
 * Whether overlays can be mounted in a user namespace of this user, found out by mounting one there.
 *
 * @module
 */
import { randomId } from "../../../core/ids.ts";
import { runCommand } from "../../../host/command.ts";
import { ensureDir, nearestDirectory, pathExists, realPath, removeTreeAt } from "../../../host/files.ts";
import { namespaceRefusal } from "../../../host/namespaces/namespace_refusal.ts";

const NAMES = ["lower", "upper", "work", "merged"];
/** What the kernel makes in `work` can be removed inside only. */
const TRIAL = `mount -i -t overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work overlay merged &&
  umount merged && rm -rf work`;
const TIMEOUT_MS = 10_000;

/** Why overlays on this root's file system cannot be mounted in a user namespace; `undefined` when they can. */
export async function overlayRefusal(root: string): Promise<string | undefined> {
  const refusal = await namespaceRefusal();
  if (refusal !== undefined) return `${refusal.reason}; ${refusal.remedy}`;
  let dir: string | undefined;
  try {
    dir = `${realPath(nearestDirectory(root))}/.strata-trial-${randomId()}`;
    for (const name of NAMES) ensureDir(`${dir}/${name}`, 0o700);
    return await tryMount(dir);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    if (dir !== undefined && pathExists(dir)) removeTreeAt(dir);
  }
}

async function tryMount(cwd: string): Promise<string | undefined> {
  const args = ["--user", "--map-root-user", "--mount", "--", "sh", "-c", TRIAL];
  const { code, stderr } = await runCommand("unshare", args, { cwd, timeoutMs: TIMEOUT_MS });
  return code === 0 ? undefined : stderr.trim();
}
