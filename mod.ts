// SPDX-License-Identifier: Apache-2.0
/**
 * Strata keeps the layers of container file systems: it takes a layer's tar in, keeps it once under its content address,
 * mounts stacks of layers for reading and writing, and gives every layer's tar back byte for byte.
 *
 * @example Register a layer, and get the same bytes back
 * ```ts
 * import { LayerStore } from "@strata/layers";
 *
 * const root = `/tmp/strata-example-${crypto.randomUUID()}`;
 * await using store = await LayerStore.open({ root, runRoot: `${root}-run`, driver: "vfs" });
 *
 * const tar = new Uint8Array(10240); // an empty archive: two blocks of zeros, and padding
 * const layer = await store.register(new Blob([tar]).stream());
 * const back = await new Response(store.export(layer.chainId)).arrayBuffer();
 * console.log(layer.diffId, back.byteLength); // sha256:84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652 10240
 * ```
 *
 * @module
 */
export { display, fromBytes, fromText, toBytes, toText } from "./src/core/bytes.ts";
export type { ByteString } from "./src/core/bytes.ts";
export { chainOn, createChainId, EMPTY_DIFF_ID } from "./src/core/chain_id.ts";
export { parseChainId, parseDiffId, parseDigest } from "./src/core/digest.ts";
export type { Descriptor, DescriptorPlatform, LayerDescriptor } from "./src/core/descriptor.ts";
export type { ChainId, DiffId, Digest } from "./src/core/digest.ts";
export { hasCode, isStrataError, StrataError } from "./src/core/errors.ts";
export type { AnyStrataError, DriverLack, ErrorCode, ErrorDetail, Stage } from "./src/core/errors.ts";
export { formatIdMap, parseIdMap, parseIdMapList } from "./src/core/id_map.ts";
export type { IdMap, IdMappings, IdPair } from "./src/core/id_map.ts";
export { parseRecordId } from "./src/core/ids.ts";
export type { CacheId, RecordId } from "./src/core/ids.ts";
export type { LayerPath } from "./src/core/layer_path.ts";
export { DEFAULT_LIMITS } from "./src/core/limits.ts";
export type { Limits } from "./src/core/limits.ts";
export type { Change, ChangeKind, Ownership } from "./src/changeset/change.ts";
export type { DroppedAttribute } from "./src/core/dropped_attribute.ts";
export { compressStream } from "./src/compression/compress.ts";
export type { CompressOptions, WritableCompression } from "./src/compression/compress.ts";
export type { Compression } from "./src/compression/detect.ts";
export { DEFAULT_CHECKER, fileSystemChecker, isMounted } from "./src/driver/parts/checker.ts";
export type { Checker } from "./src/driver/parts/checker.ts";
export type { AdditionalLayer, AdditionalLayerDriver } from "./src/driver/interfaces/additional_layer_driver.ts";
export { completeDriver } from "./src/driver/naive/complete_driver.ts";
export type { DriverParts, LayerRenamer, StorageOptions } from "./src/driver/naive/complete_driver.ts";
export type {
  ApplyOptions,
  Diff,
  DiffDriver,
  DiffGetter,
  DiffGetterDriver,
  DiffOptions,
} from "./src/driver/interfaces/diff_driver.ts";
export type { Driver } from "./src/driver/driver.ts";
export type {
  ApplyStagedOptions,
  DifferDriver,
  StagedTree,
  StageOptions,
  TreeDiffer,
  TreeDifferOptions,
} from "./src/driver/interfaces/differ_driver.ts";
export type { UnsaidByTree } from "./src/changeset/settle_tree.ts";
export { naiveDifferDriver } from "./src/driver/naive/naive_differ.ts";
export type { DifferableDriver } from "./src/driver/naive/naive_differ.ts";
export { findLayers } from "./src/driver/parts/layer_directory.ts";
export type { LayerIdMapUpdater, UpdateIdMapOptions } from "./src/driver/interfaces/layer_id_maps.ts";
export type { LayerLocation, LayerSealer, SealedLayer, SealRequest } from "./src/driver/interfaces/layer_sealer.ts";
export type { OutsideLayers, OutsideTrait, OutsideTree } from "./src/driver/interfaces/outside_layers.ts";
export type { MountingDriver } from "./src/driver/naive/layer_trees.ts";
export type { Debris, LayerFault, LayerUpkeep } from "./src/driver/interfaces/layer_upkeep.ts";
export { naiveDiffDriver } from "./src/driver/naive/naive_diff.ts";
export type { DiffableDriver } from "./src/driver/naive/naive_diff.ts";
export { naiveLayerIdMapUpdater } from "./src/driver/naive/naive_id_maps.ts";
export type { NotingIdMapUpdater } from "./src/driver/naive/naive_id_maps.ts";
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
} from "./src/driver/interfaces/proto_driver.ts";
export { RefCounter } from "./src/driver/parts/ref_counter.ts";
export type { RefCounterGetOptions, RefCounterPutOptions } from "./src/driver/parts/ref_counter.ts";
export { parseDriverOptions, registerDriver } from "./src/driver/registry.ts";
export type { DriverFactory, DriverRefusal, RegisterDriverOptions } from "./src/driver/registry.ts";
export type { ChownReport, ChownRequest } from "./src/changeset/chown_tree.ts";
export { chownPathByMaps, copyDirectory, diskUsageOf, makeLayerDirectory } from "./src/driver/parts/tree_tools.ts";
export type { ChownPathOptions, CopyDirectoryOptions } from "./src/driver/parts/tree_tools.ts";
export type { DriverCapabilities, DriverSpec, OutsideHome } from "./src/driver/interfaces/driver_spec.ts";
export type { Durability } from "./src/host/durable.ts";
export { runInUserNamespace } from "./src/host/namespaces/enter_user_namespace.ts";
export type { EnterOptions } from "./src/host/namespaces/enter_user_namespace.ts";
export { inUserNamespace } from "./src/host/namespaces/user_namespace.ts";
export { getFsMagic } from "./src/host/fs_info.ts";
export { fileSystemName, FS_MAGIC } from "./src/host/fs_magic.ts";
export type { FsName } from "./src/host/fs_magic.ts";
export { openFileStream, writeFileStream } from "./src/host/streams.ts";
export type { FileStream, WriteFileStreamOptions } from "./src/host/streams.ts";
export type { ByteTransform } from "./src/stream/pipe.ts";
export { ImageStore } from "./src/image/image_store.ts";
export type { ImageSummaries, ImageSummary, RemovedImage } from "./src/image/images.ts";
export type { LoadedImage, LoadedLayer, LoadOptions, LoadProgress } from "./src/image/load.ts";
export type { ImageSource } from "./src/image/open_source.ts";
export type { BlobInfo, CompressionName } from "./src/metadata/blob_info.ts";
export type {
  BigDataItem,
  CatalogRecord,
  JsonValue,
  RecordContent,
  RecordTarget,
} from "./src/metadata/catalog/catalog_record.ts";
export type { ImageId } from "./src/metadata/image_config.ts";
export type { CatalogListing, NameChange } from "./src/metadata/catalog/catalog_records.ts";
export type { Finding, Severity } from "./src/metadata/finding.ts";
export type { LayerExtras, LayerRecord } from "./src/metadata/layer_record.ts";
export type { BrokenLayer, LayerListing } from "./src/metadata/layerdb.ts";
export type { BrokenMount, IdRange, MountExtras, MountListing, MountName, MountRecord } from "./src/metadata/mounts.ts";
export type {
  AdoptedRecord,
  AdoptOptions,
  AdoptProgress,
  AdoptReport,
  AdoptStep,
  FailedRecord,
  PresentRecord,
  SkippedRecord,
} from "./src/store/adopt/adopt_report.ts";
export type { ApplyDiffOptions } from "./src/store/apply_diff.ts";
export { Catalog } from "./src/store/catalog/catalog.ts";
export { CatalogQueries } from "./src/store/catalog/catalog_queries.ts";
export type { DiffRecordOptions } from "./src/store/catalog/compare_record.ts";
export type { CreateLayerOptions, PutLayerOptions } from "./src/store/catalog/create_layer.ts";
export type { CatalogEntry, EntryListing } from "./src/store/catalog/entry.ts";
export type { FillFromDifferOptions } from "./src/store/catalog/fill_from_differ.ts";
export type { FillOptions } from "./src/store/catalog/fill_record.ts";
export type { CreateRecordOptions } from "./src/store/catalog/make_record.ts";
export type { ParentOwners } from "./src/store/catalog/parent_owners.ts";
export type { PutAdditionalLayerOptions } from "./src/store/catalog/put_additional_layer.ts";
export type { RecoverOptions, RecoveryStep } from "./src/store/catalog/recover.ts";
export type { RemoveRecordOptions } from "./src/store/catalog/remove_record.ts";
export type { CompareOptions, DiffStreamOptions } from "./src/store/changes.ts";
export type { ChecksumForGraphIdOptions, LayerChecksum } from "./src/store/checksum_for_graph_id.ts";
export type { CleanupReport } from "./src/store/cleanup.ts";
export type { CommitOptions } from "./src/store/commit.ts";
export type { PlacedLayer, PlacedMount, StoreContents } from "./src/store/contents.ts";
export type { CreateRWLayerOptions } from "./src/store/create_rw_layer.ts";
export type { ContentCounts, Differ, DifferOptions, DifferOutput, ReusableLayer } from "./src/store/differ/differ.ts";
export { describeDirectory, directoryDiffer } from "./src/store/differ/directory_differ.ts";
export type {
  DescribeDirectoryOptions,
  DirectoryDifferOptions,
  DirectoryManifest,
  ManifestEntry,
  ManifestName,
  ManifestObject,
  ManifestXattr,
  Reuse,
} from "./src/store/differ/directory_differ.ts";
export type { RegisteredDiff, RegisterStagedDiffOptions } from "./src/store/differ/register_staged_diff.ts";
export type { StageDiffOptions } from "./src/store/differ/stage_diff.ts";
export { StagedLayerDiff } from "./src/store/differ/staged_layer_diff.ts";
export type { StagedArchive, StagedOutput } from "./src/store/differ/staged_layer_diff.ts";
export { EMPTY_LAYER, isEmptyLayer } from "./src/store/empty_layer.ts";
export type { FsckOptions, FsckReport } from "./src/store/fsck.ts";
export type { FsckCode, FsckFinding, FsckRepair, FsckSeverity } from "./src/store/fsck_check.ts";
export type { GcOptions, GcOutcome, GcReport } from "./src/store/gc.ts";
export type { GcItem, GcKind } from "./src/store/gc_plan.ts";
export type { StoreInfo } from "./src/store/info.ts";
export type { DriverFacts, Inspection } from "./src/store/inspect.ts";
export { Layer } from "./src/store/layer.ts";
export type { DeletedLayer, LayerView, TarStreamOptions } from "./src/store/layer.ts";
export { LayerStore } from "./src/store/layer_store.ts";
export type { MountedTarget } from "./src/store/list_mounts.ts";
export type { MountOptions, MountTarget, UnmountOptions } from "./src/store/mount.ts";
export { defaultRoot, defaultRunRoot } from "./src/store/open.ts";
export type { OpenOptions } from "./src/store/open.ts";
export { packDirectory } from "./src/store/pack_directory.ts";
export type { PackDirectoryOptions, PackReport } from "./src/store/pack_directory.ts";
export type { RegisterOptions, RegisterProgress, RegisterWithDescriptorOptions } from "./src/store/register.ts";
export type { RegisterByGraphIdOptions } from "./src/store/register_by_graph_id.ts";
export { logReleaseMetadata, releaseAndLog } from "./src/store/release_log.ts";
export type { LayerReleaser, ReleaseLog } from "./src/store/release_log.ts";
export type { ReleaseRWLayerOptions } from "./src/store/release_rw_layer.ts";
export type { ExistingLayers } from "./src/store/replacement.ts";
export { needsUserNamespace } from "./src/store/rootless.ts";
export type { FurtherRoot } from "./src/store/roots/further_root.ts";
export type { RootKind } from "./src/store/roots/read_only_root.ts";
export { RWLayer } from "./src/store/rw_layer.ts";
export { StoreQueries } from "./src/store/store_queries.ts";
export type { Target } from "./src/store/target.ts";
export type { Verification, VerifyOptions } from "./src/store/verify.ts";
