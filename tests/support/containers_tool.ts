// SPDX-License-Identifier: Apache-2.0
/**
 * A root of containers/storage that its own command line fills.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type ContainersDriver, ContainersLayout } from "../../src/metadata/containers_storage/layout.ts";

/** A range of ids. */
export interface ToolIdMap {
  readonly container_id: number;
  readonly host_id: number;
  readonly size: number;
}

/** A record as that tool shows it. */
export interface ToolRecord {
  readonly id: string;
  readonly names?: readonly string[];
  readonly parent?: string;
  readonly metadata?: string;
  readonly created: string;
  readonly "diff-digest"?: string;
  readonly "diff-size"?: number;
  readonly "compressed-diff-digest"?: string;
  readonly "compressed-size"?: number;
  readonly uidmap?: readonly ToolIdMap[];
  readonly gidmap?: readonly ToolIdMap[];
  readonly "big-data-names"?: readonly string[];
}

/** Runs its arguments in a user namespace in which all ids are those of the host. */
const IN_USER_NAMESPACE = `
gate=$(mktemp -u); mkfifo "$gate"
GATE="$gate" unshare --mount --user sh -c 'read _ <"$GATE"; exec "$@"' sh "$@" & child=$!
until [ "$(readlink /proc/$child/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
echo 0 0 400000 >/proc/$child/uid_map; echo 0 0 400000 >/proc/$child/gid_map
echo >"$gate"; wait $child; status=$?; rm "$gate"; exit $status`;

/** The tool and its root. Dispose of it: the tool leaves its driver's home mounted on itself. */
export class ContainersTool implements Disposable {
  readonly root: string;
  readonly layout: ContainersLayout;
  readonly #scratch: string;
  readonly #options: readonly string[];
  readonly #config: string;
  #prefix: readonly string[] = [];
  #files = 0;

  /** @param options further global options */
  constructor(scratch: string, driver: ContainersDriver, options: readonly string[] = []) {
    this.#scratch = scratch;
    this.#config = `${scratch}/storage.conf`;
    const config = `[storage]\ndriver = "${driver}"\ngraphroot = "${scratch}/graph"\nrunroot = "${scratch}/run"\n`;
    writeFileSync(this.#config, config);
    this.root = `${scratch}/graph`;
    this.layout = new ContainersLayout(this.root, driver);
    const places = ["--graph", this.root, "--run", `${scratch}/run`, "--storage-driver", driver];
    this.#options = [...places, ...options.flatMap((option) => ["--storage-opt", option])];
  }

  /** How other tools name the root. */
  get transport(): string {
    return `containers-storage:[${this.layout.driver}@${this.root}+${this.#scratch}/run]`;
  }

  /** Without the machine's own configuration, whose options may be another driver's. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, CONTAINERS_STORAGE_CONF: this.#config };
  }

  /** What a command writes. */
  run(...args: readonly string[]): Uint8Array {
    const [program = "", ...before] = [...this.#prefix, "containers-storage"];
    const result = spawnSync(program, [...before, ...args.slice(0, 1), ...this.#options, ...args.slice(1)], {
      maxBuffer: 1 << 30,
      env: this.environment,
    });
    if (result.status !== 0) throw new Error(`containers-storage ${args.join(" ")}: ${result.stdout}${result.stderr}`);
    return new Uint8Array(result.stdout);
  }

  /** Runs a command beside others, to its end. */
  start(command: string, ...args: readonly string[]): Promise<void> {
    const child = spawn("containers-storage", [command, ...this.#options, ...args], {
      env: this.environment,
      stdio: "ignore",
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`)));
    });
  }

  /** Records that a command shows. */
  records(command: "layers" | "layer", ...ids: readonly string[]): readonly ToolRecord[] {
    const records: readonly ToolRecord[] = JSON.parse(new TextDecoder().decode(this.run(command, "-j", ...ids)));
    return records;
  }

  /** Makes a layer of a tar. */
  importLayer(id: string, tar: Uint8Array, ...more: readonly string[]): void {
    this.run("import-layer", "-i", id, "-f", this.file(tar), ...more);
  }

  /** A file with this content. */
  file(content: Uint8Array | string): string {
    const path = `${this.#scratch}/file-${++this.#files}`;
    writeFileSync(path, content);
    return path;
  }

  /** Calls while the tool is started in a user namespace, for which the kernel maps no mounts: so it changes owners. */
  inUserNamespace(call: () => void): void {
    this.#prefix = ["sh", "-c", IN_USER_NAMESPACE, "sh"];
    try {
      call();
    } finally {
      this.#prefix = [];
    }
  }

  [Symbol.dispose](): void {
    spawnSync("umount", ["-l", this.layout.home]);
  }
}
