// SPDX-License-Identifier: Apache-2.0
/**
 * Tests to be run on drivers of others, and the tools that they are made with.
 *
 * A case is a name and a function, so every runner runs it. What a driver cannot do here its capabilities say, and the
 * cases about that are left out.
 *
 * ```ts ignore
 * import { test } from "node:test"; // or: const { test } = Deno; or: import { test } from "vitest";
 * import { driverCases } from "@strata/layers/testing";
 *
 * for (const { name, needs, run } of driverCases) {
 *   test(name, async () => {
 *     const context = makeScratchDriver(); // { driver, work, reopen }: an empty home and an empty directory
 *     if (needs?.(context.driver.capabilities) !== false) await run(context);
 *   });
 * }
 * ```
 *
 * Cases with `cost: "heavy"` take seconds; once a driver is enough. Cases about killed processes are the more honest when
 * the context has a `crash`, which starts a process of yours:
 *
 * ```ts ignore
 * const { home, work, point } = JSON.parse(process.argv[2]);
 * await crashAt(point, { driver: openMyDriver(home), work }); // writes a line, and waits to be killed
 * ```
 *
 * @module
 */
export {
  crashAt,
  type CrashContext,
  type CrashPoint,
  type DriverCase,
  driverCases,
  type DriverContext,
} from "./driver_suite.ts";
export { type HostileArchive, hostileArchives, type HostileLayers } from "./hostile_archives.ts";
export {
  addLayer,
  device,
  dir,
  fifo,
  file,
  hardlink,
  type LayerMember,
  layerTar,
  type MemberMetadata,
  type NewLayer,
  opaque,
  renamed,
  type StagedLayer,
  stageLayer,
  symlink,
  whiteout,
} from "./layer_builder.ts";
export { contentOf, listingOf, shapeOf, type TreeShape } from "./tree_listing.ts";
export type { TreeView } from "../changeset/tree_view.ts";
export type { Change, ChangeKind, Changeset, LostContent, Ownership, PendingLink } from "../changeset/change.ts";
export type { DroppedAttribute } from "../core/dropped_attribute.ts";
export type { Driver } from "../driver/driver.ts";
export type { DriverCapabilities, DriverSpec } from "../driver/interfaces/driver_spec.ts";
export type {
  ApplyOptions,
  Diff,
  DiffDriver,
  DiffGetter,
  DiffGetterDriver,
  DiffOptions,
} from "../driver/interfaces/diff_driver.ts";
export type {
  ApplyStagedOptions,
  DifferDriver,
  StagedTree,
  StageOptions,
  TreeDiffer,
  TreeDifferOptions,
} from "../driver/interfaces/differ_driver.ts";
export type { UnsaidByTree } from "../changeset/settle_tree.ts";
export type { LayerLocation, LayerSealer, SealedLayer, SealRequest } from "../driver/interfaces/layer_sealer.ts";
export type { OutsideLayers, OutsideTrait, OutsideTree } from "../driver/interfaces/outside_layers.ts";
export type { Debris, LayerFault, LayerUpkeep } from "../driver/interfaces/layer_upkeep.ts";
export type {
  Awaitable,
  CreateOptions,
  DiskUsage,
  FoundLayer,
  GetOptions,
  LayerTree,
  ProtoDriver,
  StatusRow,
  TemplateOptions,
} from "../driver/interfaces/proto_driver.ts";
export type { TarEntryType, TarMember } from "../tar/entry.ts";
export type { ByteString } from "../core/bytes.ts";
export type { FileStat, FileType, Timespec } from "../core/file_stat.ts";
export type { CacheId } from "../core/ids.ts";
export type { LayerPath } from "../core/layer_path.ts";
export type { OpenFile } from "../host/open_file.ts";
export type { DirEntry, FileTimes, NodeSpec, RenameOptions, RootedDir } from "../host/rooted_dir.ts";
