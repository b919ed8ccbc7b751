// SPDX-License-Identifier: Apache-2.0
/**
 * File systems in images, mounted for one test.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type InteropOptions, unlessMissing } from "./interop.ts";

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

/** Options for tests that need a file system in an image; `skip` says what is missing. */
export function needsLoop(type: ImageFileSystem, options: LoopOptions = {}): InteropOptions {
  return unlessMissing(whyNoLoop(type, options));
}

/**
 * Makes and mounts a file system; disposing of it removes both.
 * @throws {Error} when a program refuses
 */
export function mountLoop(type: ImageFileSystem, options: LoopOptions = {}): LoopFileSystem {
  const dir = mkdtempSync(join(tmpdir(), `strata-${type}-`));
  const path = join(dir, "mnt");
  const dispose = () => {
    while (spawnSync("umount", ["--", path]).status === 0);
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

function run(program: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr.trim()}`);
}
