// SPDX-License-Identifier: Apache-2.0
/**
 * Whether this process may mount.
 *
 * It takes CAP_SYS_ADMIN in the user namespace that owns the mount namespace: mount_namespaces(7), "Restrictions on mount
 * namespaces". mount(8) asks for root besides.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { hasErrno, OsError } from "../errno.ts";
import { openForRead } from "../files.ts";
import { calls, lastErrno } from "../libc_binding.ts";
import { NS_GET_USERNS } from "../linux.ts";
import { OpenFile } from "../open_file.ts";
import { effectiveUser } from "../process.ts";

const CAP_SYS_ADMIN = 1n << 21n;

/** True when mount(8) can mount here, as far as rights go. */
export function mayMount(): boolean {
  return effectiveUser() === 0 && isMountAdmin(effectiveCapabilities()) && ownsMounts();
}

/** The capabilities in a text of the form of `/proc/self/status`; all of them where it states none. */
export function parseCapabilities(status: string): bigint {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return digits === undefined ? -1n : BigInt(`0x${digits}`);
}

function effectiveCapabilities(): bigint {
  return parseCapabilities(readFileSync("/proc/self/status", "utf8"));
}

function isMountAdmin(capabilities: bigint): boolean {
  return (capabilities & CAP_SYS_ADMIN) !== 0n;
}

/** Somebody who entered a user namespace alone still sees the mounts of the one outside, and cannot change them. */
function ownsMounts(): boolean {
  try {
    using mounts = openForRead("/proc/self/ns/mnt");
    using users = openForRead("/proc/self/ns/user");
    const fd = calls().ioctl(mounts.fd, NS_GET_USERNS, 0);
    if (fd < 0) throw new OsError(lastErrno(), "ioctl");
    using owner = new OpenFile(fd);
    return owner.stat().ino === users.stat().ino;
  } catch (error) {
    // EPERM: the owner is a namespace outside. Without namespaces at all there is one owner only.
    if (hasErrno(error, "EPERM")) return false;
    if (hasErrno(error, "ENOENT", "ENOTTY", "EINVAL")) return true;
    throw error;
  }
}
