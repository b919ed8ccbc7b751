// SPDX-License-Identifier: Apache-2.0
/**
 * File systems in images, mounted for one test.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileSystemOf } from "../../src/host/fs_info.ts";
import { type InteropOptions, unlessMissing } from "./interop.ts";
import { MEMORY, whyNoTmpfs } from "./memory_file_system.ts";
import { unmountAll } from "./unmount_all.ts";

/** File systems that can be made in an image. */
export type ImageFileSystem = "xfs" | "ext4" | "btrfs";

/** How one is made and mounted. */
export interface LoopOptions {
  /** For `mkfs`. */
  readonly mkfs?: readonly string[];
  /** For `mount -o`. */
  readonly mount?: readonly string[];
}

/** A mounted image. */
export interface LoopFileSystem extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
}

/** The least that mkfs.xfs accepts, and some. The image is sparse. */
const IMAGE_BYTES = 400 * 1024 * 1024;
/** As several tests run at once, and an image that cannot grow has errors of its own. */
const MEMORY_BYTES_MIN = 5 * IMAGE_BYTES;

/** Options for tests that need a file system in an image; `skip` says what is missing. */
export function needsLoop(type: ImageFileSystem, options: LoopOptions = {}): InteropOptions {
  return unlessMissing(whyNoLoop(type, options));
}

/**
 * Makes and mounts a file system; disposing of it removes both.
 * @throws {Error} when a program refuses
 */
export function mountLoop(type: ImageFileSystem, options: LoopOptions = {}): LoopFileSystem {
  const dir = mkdtempSync(join(imageDir(), `strata-${type}-`));
  // Others than root may be tested there.
  chmodSync(dir, 0o755);
  const path = join(dir, "mnt");
  const dispose = () => {
    unmountAll(dir);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const image = openSync(join(dir, "image"), "wx");
    ftruncateSync(image, IMAGE_BYTES);
    closeSync(image);
    mkdirSync(path);
    run(`mkfs.${type}`, ["-q", ...(options.mkfs ?? []), join(dir, "image")]);
    run("mount", ["-t", type, "-o", ["loop", ...(options.mount ?? [])].join(","), "--", join(dir, "image"), path]);
  } catch (error) {
    dispose();
    throw error;
  }
  return { path, [Symbol.dispose]: dispose };
}

/** Why a file system cannot be had here; `undefined` when it can. */
export function whyNoLoop(type: ImageFileSystem, options: LoopOptions = {}): string | undefined {
  if (process.geteuid?.() !== 0) return "mounting an image needs root";
  if (spawnSync(`mkfs.${type}`, ["-V"]).error !== undefined) return `not installed: mkfs.${type}`;
  try {
    mountLoop(type, options)[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return `this kernel mounts no ${type}${
      options.mount === undefined ? "" : ` with ${options.mount.join(",")}`
    }: ${error}`;
  }
}

/** In memory, where there is enough: an image on a disk has every sync wait for that. */
function imageDir(): string {
  if (whyNoTmpfs(MEMORY) !== undefined) return tmpdir();
  const { freeBytes } = fileSystemOf(MEMORY);
  return freeBytes >= MEMORY_BYTES_MIN ? MEMORY : tmpdir();
}

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr.trim()}`);
}
