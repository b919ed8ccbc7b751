// SPDX-License-Identifier: Apache-2.0
/**
 * Limits on what writable layers use, by project quotas: each limited layer's directory is a project of its own.
 *
 * An id is free when no layer of the home has it and the file system has nothing charged to it, so that projects of others
 * on the same file system, and files of removed layers that somebody still has open, are passed over. Docker finds ids in
 * the same way and may work on the same home. Nothing is noted anywhere else: the directories and the kernel know.
 *
 * Sources: moby, quota/projectquota.go; containers/storage, drivers/quota/projectquota_supported.go; xfs_quota(8).
 *
 * @module
 */
import { dirname } from "node:path";
import { parseByteSize } from "../../core/byte_size.ts";
import { StrataError } from "../../core/errors.ts";
import { underDirectoryLock } from "../../host/directory_lock.ts";
import { fromOsError, hasErrno } from "../../host/errno.ts";
import { listNames, renamePath, statPath } from "../../host/files.ts";
import { fileSystemOf } from "../../host/fs_info.ts";
import { projectIdOf, setProjectId } from "../../host/quota/project_id.ts";
import { ProjectQuotas } from "../../host/quota/quota.ts";
import { PROJECT_ID_MAX, type ProjectLimits, type ProjectUsage } from "../../host/quota/quota_structs.ts";
import { inUserNamespace } from "../../host/namespaces/user_namespace.ts";

/** Where a driver keeps its layers. */
export interface QuotaPlace {
  /** The driver's home, without symlinks. */
  readonly home: string;
  /** The directory of the layers' directories: the home itself, or one in it. */
  readonly layers: string;
}

/** No limits. */
export const UNLIMITED: ProjectLimits = { bytes: 0, inodes: 0 };

/** What a mount or a note needs of a full layer; file systems reserve many blocks for a directory. */
const SLACK: ProjectLimits = { bytes: 16 * 1024 * 1024, inodes: 16 };
/** Docker's name for the device's node, which kernels before 5.14 need. */
const DEVICE_NODE = "backingFsBlockDev";
/** Ids below are left to people, unless the home has one. */
const DERIVED_MIN = 10_000;
/** Homes whose inodes have neighbouring numbers begin so far apart. */
const DERIVED_STEP = 10_000n;

/** Gives layers their limits. Nothing is looked at before a limit is asked for. */
export class LayerQuota {
  readonly #place: QuotaPlace;
  readonly #quotas: Pick<ProjectQuotas, "state" | "usage" | "limit">;

  /** @param quotas the file system's; absent: of the one that holds the home */
  constructor(place: QuotaPlace, quotas?: Pick<ProjectQuotas, "state" | "usage" | "limit">) {
    this.#place = place;
    this.#quotas = quotas ?? new ProjectQuotas(place.home, { deviceNode: `${place.home}/${DEVICE_NODE}` });
  }

  /**
   * Makes sure that limits would be kept.
   * @throws {StrataError} `NOT_SUPPORTED`, with what is needed
   */
  require(limits: ProjectLimits): void {
    if (isUnlimited(limits)) return;
    const { home } = this.#place;
    if (inUserNamespace()) {
      throw unsupported(home, "in a user namespace nobody may set project quotas; run as root outside");
    }
    const state = this.#attempt("look for project quotas", () => this.#quotas.state());
    if (state === "enforced") return;
    if (state === "off") throw unsupported(home, whatIsNeeded(fileSystemOf(home).name));
    throw unsupported(home, "project quotas are counted there, but not enforced; mount it without pqnoenforce");
  }

  /**
   * Limits a layer that was made just now and is empty; what is made in it from now on counts.
   * @throws {StrataError} `NOT_SUPPORTED` where limits would not be kept
   */
  limit(dir: string, limits: ProjectLimits): void {
    if (isUnlimited(limits)) return;
    this.require(limits);
    this.#attempt(`limit the size of "${dir}"`, () => {
      const id = underDirectoryLock(this.#place.home, () => {
        const free = this.#nextFreeId();
        setProjectId(dir, free);
        return free;
      });
      this.#quotas.limit(id, limits);
    });
  }

  /** What a limited layer uses and may use; `undefined` for one without limits. */
  usage(dir: string): ProjectUsage | undefined {
    const id = this.#ownId(dir);
    return id === undefined ? undefined : this.#attempt(`measure "${dir}"`, () => this.#quotas.usage(id));
  }

  /**
   * Lets a layer use a little more until this is disposed of: mounting makes directories in it, and notes about it are files
   * there, which a full layer would not take. The limits are known all the time, so that the next call mends what a killed
   * process left.
   */
  relax(dir: string): Disposable {
    const id = this.#ownId(dir);
    if (id === undefined) return { [Symbol.dispose]() {} };
    const limits = this.#attempt(`measure "${dir}"`, () => this.#quotas.usage(id));
    this.#attempt(`make room in "${dir}"`, () => this.#quotas.limit(id, limits, SLACK));
    return {
      [Symbol.dispose]: () => this.#attempt(`limit the size of "${dir}"`, () => this.#quotas.limit(id, limits)),
    };
  }

  /**
   * Gives a layer that is whole its name. A directory that hands its project on takes none of another project in, so the layer
   * is the home's for that moment; what is in it stays of its own.
   * @throws {OsError} `EEXIST` when the name is taken
   */
  rename(from: string, to: string): void {
    try {
      return renamePath(from, to, { replace: "never" });
    } catch (error) {
      const id = this.#ownId(from);
      if (id === undefined || !hasErrno(error, "EXDEV")) throw error;
      setProjectId(from, projectIdOf(dirname(to)));
      renamePath(from, to, { replace: "never" });
      setProjectId(to, id);
    }
  }

  /** Gives the limits of a layer back that is about to be removed. Its id is free once its directory is gone. */
  free(dir: string): void {
    const id = this.#ownId(dir);
    if (id === undefined) return;
    try {
      this.#quotas.limit(id, UNLIMITED);
    } catch {
      // Limits of an id that nobody has do no harm, and who gets the id gets its own. Removal must not fail for them.
    }
  }

  /** The id that a layer has for itself; `undefined` for one that has its home's, or whose file system has none. */
  #ownId(dir: string): number | undefined {
    const id = findProjectId(dir) ?? 0;
    return id === 0 || id === findProjectId(this.#place.home) ? undefined : id;
  }

  #nextFreeId(): number {
    const { layers } = this.#place;
    const taken = new Set(listNames(layers).map((name) => findProjectId(`${layers}/${name}`)));
    let id = this.#firstId();
    do {
      id = id < PROJECT_ID_MAX ? id + 1 : 1;
    } while (taken.has(id) || this.#quotas.usage(id).inodesUsed > 0);
    return id;
  }

  /** The home's own id, or else one made of its inode number, so that homes on one file system begin apart. */
  #firstId(): number {
    const { home } = this.#place;
    const own = projectIdOf(home);
    if (own !== 0) return own;
    const ino = statPath(home)?.ino ?? 0n;
    return DERIVED_MIN + Number((ino * DERIVED_STEP) % BigInt(PROJECT_ID_MAX - DERIVED_MIN));
  }

  /** What the file system answers that has no projects, although it has quotas. */
  #attempt<T>(action: string, act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!hasErrno(error, "ENOTTY", "EOPNOTSUPP", "ENOSYS")) throw fromOsError(error, action);
      const { home } = this.#place;
      throw unsupported(home, whatIsNeeded(fileSystemOf(home).name), error);
    }
  }
}

/**
 * The limits that storage options ask for: `size`, as Docker writes sizes, and `inodes`; 0 is none.
 * @param defaults what applies where an option is not given
 * @throws {StrataError} `INVALID_ARGUMENT` for an unknown option, or a value that is none
 */
export function parseLimits(options: Readonly<Record<string, string>>, defaults: ProjectLimits): ProjectLimits {
  let { bytes, inodes } = defaults;
  for (const [name, value] of Object.entries(options)) {
    switch (name.toLowerCase()) {
      case "size":
        bytes = parseByteSize(value);
        break;
      case "inodes":
        inodes = parseInodes(value);
        break;
      default:
        throw new StrataError(
          "INVALID_ARGUMENT",
          `Cannot use the storage option "${name}": it is unknown; there are "size" and "inodes"`,
          { argument: "storageOptions" },
        );
    }
  }
  return { bytes, inodes };
}

/**
 * A number of inodes.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parseInodes(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(count)) return count;
  throw new StrataError("INVALID_ARGUMENT", `Cannot use ${JSON.stringify(text)} as a number of inodes; write digits`, {
    argument: "inodes",
  });
}

function isUnlimited({ bytes, inodes }: ProjectLimits): boolean {
  return bytes === 0 && inodes === 0;
}

/** `undefined` for what is no directory, is gone, or lies on a file system without projects. */
function findProjectId(dir: string): number | undefined {
  try {
    return projectIdOf(dir);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "ENOTTY", "EOPNOTSUPP", "ENOSYS", "EACCES")) return undefined;
    throw error;
  }
}

/** Continues "Cannot limit …:". */
function whatIsNeeded(fileSystem: string): string {
  switch (fileSystem) {
    case "xfs":
      return 'xfs has project quotas when it is mounted with "pquota", on a kernel with CONFIG_XFS_QUOTA';
    case "extfs":
      return 'ext4 has project quotas when it is made with "-O quota,project" and mounted with "prjquota", ' +
        "on a kernel with CONFIG_QFMT_V2";
    default:
      return `a file system of type ${fileSystem} has no project quotas; use xfs mounted with "pquota", ` +
        'or ext4 mounted with "prjquota"';
  }
}

function unsupported(home: string, reason: string, cause?: unknown): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot limit the size of writable layers in "${home}": ${reason}`,
    { feature: "project quota" },
    { cause },
  );
}
