// SPDX-License-Identifier: Apache-2.0
/**
 * An overlay mount for one test, as the root directory of a container is one.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { unmountAll } from "./unmount_all.ts";

/** A mounted overlay. */
export interface OverlayFileSystem extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
}

/** Why an overlay cannot be mounted here; `undefined` when it can. */
export function whyNoOverlay(): string | undefined {
  if (process.geteuid?.() !== 0) return "mounting an overlay needs root";
  try {
    mountOverlay()[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return `this kernel mounts no overlay: ${error}`;
  }
}

/**
 * Mounts an overlay on a file system in memory; disposing of it removes both, and what is mounted in them.
 * @throws {Error} when mount(8) refuses
 */
export function mountOverlay(): OverlayFileSystem {
  const base = mkdtempSync(join(tmpdir(), "strata-overlay-"));
  const dispose = () => {
    unmountAll(base);
    rmSync(base, { recursive: true, force: true });
  };
  try {
    // The upper must not lie on an overlay itself, as the directory for temporary files may.
    run("-t", "tmpfs", "--", "strata-test", base);
    for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(join(base, name));
    const options = `lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work`;
    run("-t", "overlay", "-o", options, "--", "overlay", join(base, "merged"));
  } catch (error) {
    dispose();
    throw error;
  }
  return { path: join(base, "merged"), [Symbol.dispose]: dispose };
}

function run(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync("mount", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(error?.message ?? stderr.trim());
}
