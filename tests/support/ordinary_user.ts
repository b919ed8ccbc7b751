// SPDX-License-Identifier: Apache-2.0
/**
 * An ordinary user for tests that run as root: programs run under a user id that nobody has. The machine is not changed:
 * what the user must see (this runtime, this project, its own line in `/etc/passwd` and its subordinate ids) is mounted
 * in a mount namespace that ends with the program.
 *
 * Run by an ordinary user, tests use that user, whose subordinate ids are what they are.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findProgram } from "../../src/host/command.ts";
import { mappedUsers } from "../../src/host/namespaces/user_namespace.ts";
import { type InteropOptions, unlessMissing } from "./interop.ts";

/** Which subordinate ids the user has. */
export type Subordinates = "none" | "65536";

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** Where the user is at home. */
export interface UserOptions {
  /** The directory in which the home is made. Absent: the one for temporary files. */
  readonly dir?: string;
  /** `open`: the user may use FUSE, whoever may do so on this machine. Needs root. */
  readonly fuse?: "open";
}

/** How a program is run. */
export interface UserRunOptions {
  readonly stdin?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const UID = 61234;
const GID = 61235;
/** The first subordinate id, and how many there are: outside the user's own, of both kinds. */
export const FIRST_SUBORDINATE = 700_000;
const SUBORDINATE_COUNT = 65_536;

/** The caller's may lead where the user may not go. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Major and minor number of /dev/fuse: Documentation/admin-guide/devices.txt. */
const FUSE_DEVICE = ["10", "229"];

const AS_ROOT = process.geteuid?.() === 0;
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const CONFIG = new URL("../../deno.json", import.meta.url);
const DENO = "deno" in process.versions;

/** Mounts what the user must see over places in `$1`, and becomes the user. */
const BECOME = `set -e
dir=$1; runtime=$2; project=$3; packages=$4; shift 4
mount --bind "$runtime" "$dir/runtime"
mount --bind "$project" "$dir/project"
if [ -n "$packages" ]; then mount --bind -o ro "$packages" "$dir/packages"; fi
mount -t overlay -o "ro,lowerdir=$dir/etc:/etc" overlay /etc
if [ -e "$dir/fuse" ]; then mount --bind "$dir/fuse" /dev/fuse; fi
exec setpriv --reuid=${UID} --regid=${GID} --clear-groups -- "$@"`;

/** Options of tests that have an ordinary user. */
export const WITH_USER: InteropOptions = unlessMissing(whyNoUser());
/** Options of tests whose user has subordinate ids. */
export const WITH_SUBORDINATE_IDS: InteropOptions = unlessMissing(whyNoUser() ?? whyNoSubordinateIds());

/** An ordinary user with a home, which goes away with its scope. */
export class OrdinaryUser implements Disposable {
  /** The user's own directory. */
  readonly home: string;
  readonly #dir: string;

  constructor(subordinates: Subordinates = "none", { dir = tmpdir(), fuse }: UserOptions = {}) {
    this.#dir = mkdtempSync(join(dir, "strata-user-"));
    this.home = join(this.#dir, "home");
    mkdirSync(this.home);
    if (!AS_ROOT) return;
    chmodSync(this.#dir, 0o755);
    chownSync(this.home, UID, GID);
    for (const name of ["project", "packages", "etc"]) mkdirSync(join(this.#dir, name));
    if (DENO) this.#ownCache();
    writeFileSync(join(this.#dir, "runtime"), "");
    const passwd = readFileSync("/etc/passwd", "utf8").trimEnd();
    writeFileSync(join(this.#dir, "etc/passwd"), `${passwd}\nstrata:x:${UID}:${GID}::${this.home}:/bin/sh\n`);
    const ids = subordinates === "none" ? "" : `strata:${FIRST_SUBORDINATE}:${SUBORDINATE_COUNT}\n`;
    for (const name of ["subuid", "subgid"]) writeFileSync(join(this.#dir, "etc", name), ids);
    if (fuse === "open") spawnSync("mknod", ["-m", "666", join(this.#dir, "fuse"), "c", ...FUSE_DEVICE]);
  }

  /** Starts a program as this user. */
  spawn(command: readonly string[], { env = {}, cwd = this.home }: Omit<UserRunOptions, "stdin"> = {}): ChildProcess {
    const [program = "", ...args] = AS_ROOT ? [...this.#become(), ...command] : command;
    return spawn(program, args, { cwd, env: { ...this.#env(), ...env }, stdio: "pipe" });
  }

  /** Runs a program as this user, to its end. */
  run(command: readonly string[], options: UserRunOptions = {}): Promise<Ended> {
    const child = this.spawn(command, options);
    const stdout: Uint8Array[] = [];
    let stderr = "";
    child.stdout?.on("data", (chunk: Uint8Array) => stdout.push(chunk));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => stderr += text);
    child.stdin?.on("error", () => {}); // A program that is gone reads no more.
    child.stdin?.end(options.stdin);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, stdout: Uint8Array.from(stdout.flatMap((c) => [...c])), stderr }));
    });
  }

  /**
   * Runs a program that must succeed, and gives what it prints.
   * @throws {Error} with standard error, when it fails
   */
  async ok(command: readonly string[], options: UserRunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, options);
    if (code !== 0) throw new Error(`"${command.slice(-4).join(" ")}" ended with ${code}: ${stderr}`);
    return new TextDecoder().decode(stdout).trimEnd();
  }

  /** A command of the command line, from source or compiled. */
  strata(...args: string[]): string[] {
    return [...this.script(new URL(`../../cli.${extension()}`, import.meta.url)), ...args];
  }

  /** A script of this project. */
  script(file: URL): string[] {
    return [...this.#runtime("run"), this.#path(file)];
  }

  /** A run, by this runtime's test runner, of those of a file's tests whose names begin so. */
  test(file: URL, begin: string): string[] {
    const [runner = "", ...args] = this.#runtime("test");
    const filter = DENO ? `--filter=/^${begin}/` : `--test-name-pattern=^${begin}`;
    return [runner, ...args, filter, this.#path(file)];
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #runtime(verb: "run" | "test"): string[] {
    const program = AS_ROOT ? join(this.#dir, "runtime") : process.execPath;
    if (DENO) return [program, verb, "-A", "--quiet", "--no-check", "--config", this.#path(CONFIG)];
    return verb === "run" ? [program] : [program, "--test", "--test-reporter=tap"];
  }

  #path(file: URL): string {
    const path = fileURLToPath(file);
    return AS_ROOT ? join(this.#dir, "project", relative(PROJECT, path)) : path;
  }

  /** Packages are everybody's; what Deno makes of this project, which lies elsewhere for this user, is made once, and kept. */
  #ownCache(): void {
    const cache = join(this.#dir, "cache");
    mkdirSync(cache);
    chownSync(cache, UID, GID);
    symlinkSync(join(this.#dir, "packages"), join(cache, "npm"));
  }

  #become(): string[] {
    const packages = DENO ? join(denoCache(), "npm") : "";
    // Deno gives its own program further arguments when it meets it in a command.
    const runtime = `/.${process.execPath}`;
    return ["unshare", "--mount", "--", "sh", "-c", BECOME, "sh", this.#dir, runtime, PROJECT, packages];
  }

  /** Nothing of the caller's but what finds programs: neither a store, nor a place that the user may not write to. */
  #env(): Record<string, string> {
    const cache = AS_ROOT ? join(this.#dir, "cache") : denoCache();
    return {
      PATH: AS_ROOT ? SYSTEM_PATH : process.env.PATH ?? SYSTEM_PATH,
      HOME: this.home,
      TMPDIR: this.home,
      XDG_RUNTIME_DIR: join(this.home, "run"),
      NO_COLOR: "1",
      ...(DENO ? { DENO_DIR: cache, DENO_NO_UPDATE_CHECK: "1" } : {}),
    };
  }
}

function denoCache(): string {
  return process.env.DENO_DIR ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "deno");
}

function extension(): "ts" | "js" {
  return import.meta.url.endsWith(".ts") ? "ts" : "js";
}

function whyNoUser(): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  if (AS_ROOT && !mappedUsers().some(({ inside, count }) => inside <= UID && UID < inside + count)) {
    return "this user namespace has no ids to spare";
  }
  if (DENO && !existsSync(denoCache())) return "the cache of Deno is not where it usually is";
  const args = AS_ROOT ? ["--mount", "--", "setpriv", `--reuid=${UID}`, "--clear-groups", "unshare"] : [];
  const { status } = spawnSync("unshare", [...args, "--user", "--map-root-user", "--mount", "true"]);
  return status === 0 ? undefined : "ordinary users may have no user namespaces here";
}

function whyNoSubordinateIds(): string | undefined {
  if (!AS_ROOT) return "needs root, to say which subordinate ids a user has";
  return findProgram("newuidmap") === undefined ? "newuidmap is not installed (Debian: uidmap)" : undefined;
}
