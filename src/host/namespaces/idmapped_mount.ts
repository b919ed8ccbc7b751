// SPDX-License-Identifier: Apache-2.0
/**
 * Id-mapped mounts: a directory shown at another place with its owners mapped, while what is on disk stays as it is.
 *
 * The map is that of a user namespace. A helper program is started in a new one, which gets its maps from here and ends as
 * soon as the namespace is held open by its handle; this process never changes its own namespaces.
 *
 * Sources: mount_setattr(2), "ID-mapped mounts"; open_tree(2), move_mount(2); user_namespaces(7).
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { Buffer } from "node:buffer";
import { type ByteString, fromText, toBytes } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { ID_MAX, type IdMap, type IdMappings } from "../../core/id_map.ts";
import { spawnFilter } from "../command.ts";
import { OsError } from "../errno.ts";
import * as libc from "../libc.ts";
import { calls, lastErrno } from "../libc_binding.ts";
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../linux.ts";

/** A user namespace that exists as long as this is not disposed of. */
export interface UserNamespace extends Disposable {
  /** The handle. */
  readonly fd: number;
}

/** What is shown where, and how. Paths are absolute, and trusted. */
export interface IdMappedMount {
  readonly source: string;
  /** A directory. */
  readonly target: string;
  /** Its map leads from the ids on disk to those that are shown. */
  readonly namespace: UserNamespace;
  readonly access: "writable" | "read-only";
}

/** Numbers that every supported processor shares. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;

const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_RDONLY = 0x1n;
const MOUNT_ATTR_IDMAP = 0x10_0000n;
const MS_PRIVATE = 1n << 18n;
/** Bytes of `struct mount_attr`. */
const MOUNT_ATTR_BYTES = 32;

/** The whole of the ids, for a side without a map. */
const ALL: readonly IdMap[] = [{ containerId: 0, hostId: 0, size: ID_MAX + 1 }];
const NOTHING = fromText("");

/**
 * A new user namespace with these maps.
 * @throws {StrataError} `NOT_SUPPORTED` where no namespaces can be made, or not with these ids
 */
export async function openUserNamespace(mappings: IdMappings): Promise<UserNamespace> {
  // The program tells its number once it is in the namespace, and then waits for the end of its input.
  const helper = spawnFilter("unshare", ["--user", "--", "cat", "/proc/self/stat", "-"]);
  try {
    const pid = await firstNumber(helper.readable);
    if (pid === undefined) {
      const { stderr } = await helper.done;
      throw refused(stderr.trim().split("\n", 1)[0] ?? "the helper ended");
    }
    return namespaceOf(pid, mappings);
  } finally {
    helper.kill();
    // Nothing else closes this end of its input: it would stay open until the garbage collector comes.
    await helper.writable.abort().catch(() => {});
    await helper.done.catch(() => {});
  }
}

/**
 * Shows a directory at another place, its owners mapped. What is mounted below it is left out.
 * @throws {OsError} `EINVAL` for a file system that cannot be mapped, `ENOSYS` for a kernel before 5.12
 */
export function mountIdMapped({ source, target, namespace, access }: IdMappedMount): void {
  const clone = check(
    calls().open_tree(SYS_OPEN_TREE, AT_FDCWD, terminated(fromText(source)), OPEN_TREE_CLONE | O_CLOEXEC),
    { syscall: "open_tree", path: source },
  );
  try {
    const attributes = mountAttributes(namespace.fd, access);
    check(
      calls().mount_setattr(SYS_MOUNT_SETATTR, clone, terminated(NOTHING), AT_EMPTY_PATH, attributes, MOUNT_ATTR_BYTES),
      { syscall: "mount_setattr", path: source },
    );
    const place = terminated(fromText(target));
    check(
      calls().move_mount(SYS_MOVE_MOUNT, clone, terminated(NOTHING), AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH),
      { syscall: "move_mount", path: target },
    );
  } finally {
    libc.close(clone);
  }
}

function namespaceOf(pid: number, { uids, gids }: IdMappings): UserNamespace {
  try {
    writeFileSync(`/proc/${pid}/uid_map`, mapText(uids));
    writeFileSync(`/proc/${pid}/gid_map`, mapText(gids));
    const fd = libc.openat(AT_FDCWD, fromText(`/proc/${pid}/ns/user`), O_RDONLY);
    return { fd, [Symbol.dispose]: () => libc.close(fd) };
  } catch (cause) {
    throw refused(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function mapText(map: readonly IdMap[]): string {
  const ranges = map.length === 0 ? ALL : map;
  return ranges.map(({ containerId, hostId, size }) => `${containerId} ${hostId} ${size}\n`).join("");
}

/** What a program writes first, up to the first blank. */
async function firstNumber(readable: ReadableStream<Uint8Array>): Promise<number | undefined> {
  let text = "";
  for await (const chunk of readable) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.includes(" ")) return Number(text.split(" ", 1)[0]);
  }
  return undefined;
}

function mountAttributes(namespaceFd: number, access: IdMappedMount["access"]): Uint8Array {
  const bytes = new Uint8Array(MOUNT_ATTR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MOUNT_ATTR_IDMAP | (access === "read-only" ? MOUNT_ATTR_RDONLY : 0n), true);
  view.setBigUint64(16, MS_PRIVATE, true);
  view.setBigUint64(24, BigInt(namespaceFd), true);
  return bytes;
}

function terminated(path: ByteString): Uint8Array {
  const bytes = new Uint8Array(path.length + 1);
  bytes.set(toBytes(path));
  return bytes;
}

function check(result: number, { syscall, path }: { readonly syscall: string; readonly path: string }): number {
  if (result >= 0) return result;
  throw new OsError(lastErrno(), syscall, path);
}

function refused(reason: string, options: { readonly cause?: unknown } = {}): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot make a user namespace with these id maps: ${reason}; run as root of the machine, or do without the maps`,
    { feature: "user namespaces" },
    options,
  );
}
