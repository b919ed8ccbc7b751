// SPDX-License-Identifier: Apache-2.0
/**
 * Limits of projects on a file system: quotactl_fd(2) from Linux 5.14 on, and quotactl(2) on the file system's device
 * before. The commands are those of xfs, which ext4 answers to as well.
 *
 * @module
 */
import { fromText } from "../../core/bytes.ts";
import { errnoOf, isOsError, OsError } from "../errno.ts";
import * as libc from "../libc.ts";
import { calls, lastErrno } from "../libc_binding.ts";
import { deviceNumber } from "../kernel_structs.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY, TYPE_BITS } from "../linux.ts";
import { OpenFile } from "../open_file.ts";
import {
  DISK_QUOTA_BYTES,
  type ProjectLimits,
  type ProjectUsage,
  QUOTA_STAT_BYTES,
  type QuotaState,
  readDiskQuota,
  readQuotaState,
  writeDiskQuota,
} from "./quota_structs.ts";

/** How the kernel is told which file system is meant. `any` takes a handle where the kernel can. */
export type QuotaAccess = "any" | "handle" | "device node";

/** How {@link ProjectQuotas} works. */
export interface ProjectQuotasOptions {
  /** Where a node of the file system's device may be made; absent: it is not. */
  readonly deviceNode?: string;
  /** Default `any`. */
  readonly access?: QuotaAccess;
}

const SYS_QUOTACTL_FD = 443;
const Q_XGETQUOTA = 0x5803;
const Q_XSETQLIM = 0x5804;
const Q_XGETQSTAT = 0x5805;
/** The kind of quota, in the low byte of a command. */
const PRJQUOTA = 2;
const NODE_MODE = 0o600;
const ENOSYS = errnoOf("ENOSYS");

const bytes = new Uint8Array(Math.max(DISK_QUOTA_BYTES, QUOTA_STAT_BYTES));
const view = new DataView(bytes.buffer);

/** The projects' quotas of one file system. */
export class ProjectQuotas {
  readonly #dir: string;
  readonly #options: ProjectQuotasOptions;

  /** @param dir any directory of the file system */
  constructor(dir: string, options: ProjectQuotasOptions = {}) {
    this.#dir = dir;
    this.#options = options;
  }

  /**
   * Whether limits work here.
   * @throws {OsError} when it cannot be told, such as by lack of rights
   */
  state(): QuotaState {
    try {
      bytes.fill(0);
      this.#call(Q_XGETQSTAT, 0);
      return readQuotaState(view);
    } catch (error) {
      // A file system without quotas, one with quotas off, a kernel without, or one that lacks this kind.
      if (isOsError(error, "ENOSYS", "EOPNOTSUPP", "EINVAL", "ESRCH", "ENODEV", "ENOTBLK")) return "off";
      throw error;
    }
  }

  /**
   * What a project uses and may use.
   * @throws {OsError}
   */
  usage(id: number): ProjectUsage {
    try {
      bytes.fill(0);
      this.#call(Q_XGETQUOTA, id);
    } catch (error) {
      // Nobody has limited this project, and it has used nothing.
      if (!isOsError(error, "ENOENT", "ESRCH")) throw error;
      bytes.fill(0);
    }
    return readDiskQuota(view);
  }

  /**
   * Sets what a project may use.
   * @param slack how much more it may use until the next call; {@link ProjectQuotas.usage} gives the limits without
   * @throws {OsError} `EPERM` for all but root
   */
  limit(id: number, limits: ProjectLimits, slack?: ProjectLimits): void {
    writeDiskQuota(view, { ...limits, id }, slack);
    this.#call(Q_XSETQLIM, id);
  }

  #call(command: number, id: number): void {
    const { access = "any", deviceNode } = this.#options;
    const operation = (command << 8) | PRJQUOTA;
    if (access !== "device node") {
      const errno = this.#byHandle(operation, id);
      if (errno === 0) return;
      // The same number says that the kernel lacks the call, and that the file system lacks quotas.
      if (errno !== ENOSYS || access === "handle" || deviceNode === undefined) throw failed(errno, this.#dir);
    }
    if (deviceNode === undefined) throw failed(ENOSYS, this.#dir);
    const errno = this.#byDevice(operation, id, deviceNode);
    if (errno !== 0) throw failed(errno, this.#dir);
  }

  #byHandle(operation: number, id: number): number {
    using dir = new OpenFile(libc.openat(AT_FDCWD, fromText(this.#dir), O_RDONLY | O_DIRECTORY));
    return calls().quotactl_fd(SYS_QUOTACTL_FD, dir.fd, operation, id, bytes) < 0 ? lastErrno() : 0;
  }

  #byDevice(operation: number, id: number, node: string): number {
    if (!ensureDeviceNode(this.#dir, node)) return ENOSYS;
    const path = new TextEncoder().encode(`${node}\0`);
    return calls().quotactl(operation, path, id, bytes) < 0 ? lastErrno() : 0;
  }
}

/** Makes a node of the device below a directory; false where none is below, as on tmpfs and btrfs. */
function ensureDeviceNode(dir: string, path: string): boolean {
  const [major = 0, minor = 0] = libc.statx(AT_FDCWD, fromText(dir))?.dev.split(":").map(Number) ?? [];
  if (major === 0) return false;
  const node = libc.statx(AT_FDCWD, fromText(path));
  if (node?.type === "block" && node.rdevMajor === major && node.rdevMinor === minor) return true;
  if (node !== undefined) libc.unlinkat(AT_FDCWD, fromText(path), 0);
  try {
    libc.mknodat(AT_FDCWD, fromText(path), TYPE_BITS.block | NODE_MODE, deviceNumber(major, minor));
  } catch (error) {
    if (!isOsError(error, "EEXIST")) throw error; // Another process made it just now.
  }
  return true;
}

function failed(errno: number, path: string): OsError {
  return new OsError(errno, "quotactl", path);
}
