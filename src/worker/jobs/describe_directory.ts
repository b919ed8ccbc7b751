// SPDX-License-Identifier: Apache-2.0
/**
 * A directory of the host as a manifest: what a tar of it would hold, with the digest of each file in place of its content.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { compareTrees } from "../../changeset/compare.ts";
import { DropReport } from "../../changeset/drop_report.ts";
import { HostView } from "../../changeset/host_view.ts";
import { WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";
import { type ByteString, compareBytes, display, fromText, toBytes, toText } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { type FileStat, inodeKey } from "../../core/file_stat.ts";
import { componentsOf, type LayerPath, ROOT } from "../../core/layer_path.ts";
import { fromOsError } from "../../host/errno.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { AbortFlag } from "../abort_flag.ts";
import { digestFile } from "../differ/digest_file.ts";
import type { DirectoryManifest, ManifestEntry, ManifestName, ManifestObject } from "../differ/manifest.ts";
import type { Report } from "../job_map.ts";
import type { PackReport } from "./pack_directory.ts";

/** A directory to be described. */
export interface DescribeDirectoryRequest {
  readonly path: string;
  /** Names that are left out. */
  readonly exclude: readonly string[];
}

/**
 * Describes a directory, the directory itself included.
 * @throws {StrataError} `IO` when a file changes while it is read, `NOT_PERMITTED`, `ABORTED`
 */
export function describeDirectory(
  { path, exclude }: DescribeDirectoryRequest,
  _report: Report,
  abort: AbortFlag,
): { manifest: DirectoryManifest; report: PackReport } {
  try {
    const options = { exclude: new Set(exclude.map(fromText)), onUnreadable: undefined };
    using view = new HostView(RootedDir.open(path), options);
    const describing = new Describing(view, abort);
    const entries = compareTrees({ now: view, before: undefined }).flatMap((change) => describing.entryOf(change.path));
    const { skipped: { listed: skipped, count: skippedCount } } = describing;
    return { manifest: { version: 1, entries }, report: { skipped, skippedCount } };
  } catch (error) {
    throw fromOsError(error, `describe the directory "${path}"`);
  }
}

class Describing {
  readonly skipped = new DropReport();
  readonly #view: HostView;
  readonly #abort: AbortFlag;
  /** The first path of every object with several. */
  readonly #firstPaths = new Map<string, LayerPath>();

  constructor(view: HostView, abort: AbortFlag) {
    this.#view = view;
    this.#abort = abort;
  }

  /** One entry, or none for what a tar cannot hold. */
  entryOf(path: LayerPath): ManifestEntry[] {
    this.#abort.check();
    const stat = this.#view.stat(path);
    if (stat === undefined) refuseChanged(path, "it has disappeared");
    if (componentsOf(path).some((component) => component.startsWith(WHITEOUT_PREFIX))) {
      return this.#skip(path, "name", "names that begin with .wh. mean deletions in a layer");
    }
    const { type } = stat;
    if (type === "socket") return this.#skip(path, "socket", "a tar cannot hold it");
    const object = this.#objectOf(path, stat);
    const first = this.#firstPathOf(path, stat);
    if (first !== undefined) return [{ ...object, type: "hardlink", target: nameOf(first) }];
    switch (type) {
      case "file":
        return [{ ...object, type, ...this.#contentOf(path, stat) }];
      case "symlink":
        return [{ ...object, type, target: nameOf(this.#view.readlink(path)) }];
      case "char":
      case "block":
        return [{ ...object, type, major: stat.rdevMajor, minor: stat.rdevMinor }];
      default:
        return [{ ...object, type }];
    }
  }

  #objectOf(path: LayerPath, { mode, uid, gid, mtime }: FileStat): ManifestObject {
    const xattrs = [...this.#view.xattrs(path)].sort(([a], [b]) => compareBytes(a, b)).flatMap(([name, value]) =>
      name.includes("=")
        ? this.#skip(path, `xattr ${display(name)}`, "an equals sign ends the name in a tar")
        : [{ name: nameOf(name), value: Buffer.from(value).toString("base64") }]
    );
    const { sec, nsec } = mtime;
    const object = { path: path === ROOT ? "." : nameOf(path), mode, uid, gid, mtime: { sec, nsec } };
    return xattrs.length === 0 ? object : { ...object, xattrs };
  }

  #contentOf(path: LayerPath, stat: FileStat): { readonly size: number; readonly digest: string } {
    using file = this.#view.openRead(path);
    const { digest, sizeBytes: size } = digestFile(file, { abort: this.#abort });
    if (size !== stat.size) refuseChanged(path, `it has ${size} bytes, ${stat.size} were announced`);
    return { size, digest };
  }

  #firstPathOf(path: LayerPath, stat: FileStat): LayerPath | undefined {
    if (stat.type === "dir" || stat.nlink === 1) return undefined;
    const first = this.#firstPaths.get(inodeKey(stat));
    if (first === undefined) this.#firstPaths.set(inodeKey(stat), path);
    return first;
  }

  #skip(path: LayerPath, attribute: string, reason: string): [] {
    this.skipped.add({ entry: display(path), attribute, reason });
    return [];
  }
}

function nameOf(name: ByteString): ManifestName {
  return toText(name) ?? { base64: Buffer.from(toBytes(name)).toString("base64") };
}

function refuseChanged(path: LayerPath, what: string): never {
  throw new StrataError(
    "IO",
    `Cannot describe "/${display(path)}": ${what}; describe again when nothing writes to the directory`,
    { path: display(path) },
  );
}
