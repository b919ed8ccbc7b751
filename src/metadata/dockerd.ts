// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a dockerd works on a store's root. It keeps what it read at its start in memory and knows no lock of this
 * package, so nobody else may write there meanwhile; reading is safe, since what it publishes does not change.
 *
 * Its pid file does not tell: it may lie anywhere, and says nothing of the root. Two other signs do:
 *
 * - a process of that name whose data root is this one, by its arguments or its configuration (dockerd(8));
 * - the flock that it holds on its database of volumes while it runs. It tells of one in another PID namespace, too;
 *   yet it is taken only after the layers were read.
 *
 * Between looking and writing a dockerd may start. So writers look a second time under the write lock.
 *
 * @module
 */
import { basename, dirname } from "node:path";
import * as v from "valibot";
import { StrataError } from "../core/errors.ts";
import { isLocked } from "../host/file_lock.ts";
import { pathExists, readText } from "../host/files.ts";
import { isSameObject, pathOfProcess, processesRunning, type RunningProcess } from "../host/process_list.ts";
import { attempt } from "./record_file.ts";

/** A running dockerd. */
export interface Dockerd {
  /** Absent: its process cannot be seen from here, only its lock. */
  readonly pid?: number;
}

const PROGRAM = "dockerd";
const DATA_ROOT = "/var/lib/docker";
const CONFIG_FILE = "/etc/docker/daemon.json";
/** Made before any layer is read: where it is missing, no dockerd has ever worked. */
const FIRST_DIRECTORY = "containers";
const VOLUMES_DATABASE = "volumes/metadata.db";
/** With `--userns-remap` the layers lie one directory deeper, in one that the mapped owner names. */
const REMAPPED_NAME = /^[0-9]+\.[0-9]+$/;

/** The older names, too: of the flag until 23.0, of the setting until 17.05. */
const DATA_ROOT_FLAG = /^(?:--(?:data-root|graph)(?:=|$)|-[Dv]*g=?)(.*)$/s;
const CONFIG_FILE_FLAG = /^--config-file(?:=|$)(.*)$/s;
const configSchema = v.looseObject({ "data-root": v.optional(v.string()), graph: v.optional(v.string()) });

/** Keeps writers from a root that a running dockerd holds. */
export class DockerdGuard {
  readonly #root: string;

  /** @param root a store's root, absolute */
  constructor(root: string) {
    this.#root = root;
  }

  /** The dockerd that holds the root now; `undefined` when none does. Nothing is kept: it starts and ends at any time. */
  find(): Dockerd | undefined {
    if (!pathExists(`${this.#root}/${FIRST_DIRECTORY}`)) return undefined;
    const process = processesRunning(PROGRAM).find((process) => this.#isHeldBy(process));
    if (process !== undefined) return { pid: process.pid };
    return isLockedOrHidden(`${this.#root}/${VOLUMES_DATABASE}`) ? {} : undefined;
  }

  /**
   * Refuses to go on to write while a dockerd holds the root.
   * @throws {StrataError} `LOCKED` naming its process
   */
  requireAbsent(): void {
    const dockerd = this.find();
    if (dockerd === undefined) return;
    const holder = dockerd.pid === undefined ? "dockerd in another PID namespace" : `dockerd (pid ${dockerd.pid})`;
    throw new StrataError(
      "LOCKED",
      `Cannot write to the store at "${this.#root}": a running ${holder} holds it; stop it first, or use docker itself`,
      { path: this.#root, holder },
    );
  }

  #isHeldBy(process: RunningProcess): boolean {
    const dataRoot = dataRootOf(process);
    const seen = pathOfProcess(process.pid, dataRoot);
    // Without the right to look through its root directory, its paths are taken for ours.
    const path = attempt(() => pathExists(seen)) === undefined ? dataRoot : seen;
    return [this.#root, ...remappedFrom(this.#root)].some((root) => isSameObject(root, path));
  }
}

function dataRootOf(process: RunningProcess): string {
  const given = flagIn(process.args, DATA_ROOT_FLAG);
  if (given !== undefined) return given;
  const file = pathOfProcess(process.pid, flagIn(process.args, CONFIG_FILE_FLAG) ?? CONFIG_FILE);
  const config = attempt(() => v.parse(configSchema, JSON.parse(readText(file, { symlink: "follow" }) ?? "{}")));
  return config?.["data-root"] ?? config?.graph ?? DATA_ROOT;
}

/** A flag's value, in the same argument or the next; the last one counts. */
function flagIn(args: readonly string[], flag: RegExp): string | undefined {
  const at = args.findLastIndex((arg) => flag.test(arg));
  return at < 0 ? undefined : flag.exec(args[at]!)?.[1] || args[at + 1];
}

function remappedFrom(root: string): string[] {
  return REMAPPED_NAME.test(basename(root)) ? [dirname(root)] : [];
}

/** A user who may not open the database may not write to the root either, and hears of that in its place. */
function isLockedOrHidden(path: string): boolean {
  return attempt(() => isLocked(path)) ?? false;
}
