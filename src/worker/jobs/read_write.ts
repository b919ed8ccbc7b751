// SPDX-License-Identifier: Apache-2.0
/**
 * Work on writable layers that may copy or write whole trees.
 *
 * @module
 */
import { openOwnedTree } from "../../changeset/override_dir.ts";
import type { DiffId } from "../../core/digest.ts";
import { containerShift, type IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import type { Changeset } from "../../changeset/change.ts";
import { MappedDir } from "../../changeset/mapped_dir.ts";
import { mergeChangeset } from "../../changeset/merge.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import { type Driver, stackOf } from "../../driver/driver.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import type { CreateOptions } from "../../driver/interfaces/proto_driver.ts";
import { loadDriver } from "../../driver/registry.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { AbortFlag } from "../abort_flag.ts";
import type { Report } from "../job_map.ts";
import { settleLayer } from "../settle_layer.ts";
import { StagedLayer } from "../staged_layer.ts";

/** A writable layer to be made. */
export interface CreateReadWriteRequest {
  readonly driver: DriverSpec;
  readonly id: CacheId;
  readonly parent: CacheId | undefined;
  readonly options: Omit<CreateOptions, "onEntry">;
  /** The layer whose own files it begins with; it lies on the same parent. Absent: it begins with none. */
  readonly template?: CacheId;
}

/** An unpacked layer to be applied to a writable layer. */
export interface ApplyRequest {
  readonly driver: DriverSpec;
  /** The layer's own directory, as `unpack` left it. */
  readonly dir: string;
  readonly diffId: DiffId;
  readonly changeset: Changeset;
  /** Under which ids the target is kept, and the layer was unpacked. */
  readonly idMappings: IdMappings;
  /** Where it is mounted; or itself, where the driver has to write its files otherwise. */
  readonly target:
    | { readonly kind: "tree"; readonly path: string }
    | { readonly kind: "layer"; readonly id: CacheId };
}

/**
 * Makes a writable layer; the vfs driver copies its parent's tree. Where mounts cannot map owners for it, it is given to its
 * own at once.
 * @throws {StrataError} `ABORTED`, and nothing is left
 */
export async function createReadWrite(
  request: CreateReadWriteRequest,
  _report: Report,
  abort: AbortFlag,
): Promise<void> {
  const { idMappings, ...options } = request.options;
  const driver = await loadDriver(request.driver);
  const onEntry = () => abort.check();
  if (idMappings === undefined || await driver.supportsShifting(idMappings) === "yes") {
    return await makeReadWrite(driver, request, { ...options, ...(idMappings && { idMappings }), onEntry });
  }
  await makeReadWrite(driver, request, { ...options, onEntry });
  const { id } = request;
  await driver.updateLayerIdMap(id, { from: await driver.idMappingsOf(id), to: idMappings });
}

async function makeReadWrite(
  driver: Driver,
  { id, parent, template }: CreateReadWriteRequest,
  options: CreateOptions,
): Promise<void> {
  if (template === undefined) return await driver.createReadWrite(id, parent, options);
  await driver.createFromTemplate(id, { ...options, template, parent, access: "writable" });
}

/**
 * Applies an unpacked layer: whiteouts remove, the rest is merged over what is there.
 * @throws {StrataError} `IN_USE` for a layer that its driver writes only while it is not mounted
 */
export async function apply(request: ApplyRequest): Promise<void> {
  const driver = await loadDriver(request.driver);
  const { target } = request;
  if (target.kind === "layer") return await applyToLayer(driver, target.id, request);
  const { ownership } = driver.capabilities;
  const staged = new StagedLayer(request.dir);
  const shift = containerShift(request.idMappings);
  using below = new PlainView(new MappedDir(RootedDir.open(target.path), { shift }));
  const { changeset } = await settleLayer({ ...request, staged, ownership, below });
  using tree = openOwnedTree(staged.treeDir, ownership);
  using into = RootedDir.open(target.path);
  mergeChangeset({ changeset, tree, into });
}

async function applyToLayer(driver: Driver, id: CacheId, request: ApplyRequest): Promise<void> {
  const { ownership } = driver.capabilities;
  const staged = new StagedLayer(request.dir);
  const stack = stackOf(driver, id);
  await using below = await driver.view(stack);
  const { changeset } = await settleLayer({ ...request, staged, ownership, below });
  using tree = openOwnedTree(staged.treeDir, ownership);
  await driver.applyDiff(id, stack[1]?.cacheId, { kind: "unpacked", changeset, tree });
}
