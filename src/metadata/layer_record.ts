// SPDX-License-Identifier: Apache-2.0
/**
 * One layer's record as files, byte for byte as Docker writes and reads them (moby, layer/filestore.go):
 *
 *   diff               "sha256:<hex>" of the DiffID, no newline
 *   size               decimal bytes of this layer alone, no newline; read without trimming
 *   cache-id           name of the driver's directory, no newline
 *   parent             "sha256:<hex>" of the parent's ChainID, no newline; absent for a base layer
 *   descriptor.json    the blob's descriptor, where one was given; a damaged one makes the layer unreadable, as for Docker
 *   tar-split.json.gz  opaque here
 *   strata.json        what Docker has no file for; Docker ignores it, and so a layer without it is whole
 *
 * Beyond Docker, the ChainID is computed again from `parent` and `diff`, so that a lost `parent` file does not turn a
 * layer into a base layer, and records cannot form a circle.
 *
 * @module
 */
import * as v from "valibot";
import { chainOn } from "../core/chain_id.ts";
import { type ChainId, type DiffId, parseChainId, parseDiffId } from "../core/digest.ts";
import type { LayerDescriptor } from "../core/descriptor.ts";
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import { StrataError } from "../core/errors.ts";
import { type CacheId, parseCacheId } from "../core/ids.ts";
import type { Durability } from "../host/durable.ts";
import { pathExists } from "../host/files.ts";
import { type BlobInfo, blobInfoSchema, countSchema, timeSchema } from "./blob_info.ts";
import { asStrataError } from "./finding.ts";
import { descriptorText, readDescriptor } from "./descriptor_file.ts";
import { attempt, corruptFile, jsonText, type ReadContext, readRecordJson, readRecordText } from "./record_file.ts";
import { writeStagedFiles } from "./staged_files.ts";

/** The file from which a layer's tar is rebuilt. */
export const TAR_SPLIT_FILE = "tar-split.json.gz";

/** What is recorded of a layer. It never changes once published (I2). */
export interface LayerRecord extends LayerExtras {
  /** The stack whose top it is. */
  readonly chainId: ChainId;
  /** Digest of its uncompressed tar. */
  readonly diffId: DiffId;
  /** Absent: a base layer. */
  readonly parent?: ChainId;
  /** Name of its directory inside the driver. */
  readonly cacheId: CacheId;
  /** Bytes of this layer alone, as the driver counts them. */
  readonly sizeBytes: number;
  /** Absent: none was given when the layer was registered. */
  readonly descriptor?: LayerDescriptor;
}

/** What only this store records; a layer that Docker registered has none of it. */
export interface LayerExtras {
  /** ISO 8601, UTC. */
  readonly created?: string;
  /** The root in which its files lie, for a layer that only stands for one there. */
  readonly outside?: string;
  /** The blob it came from. */
  readonly blob?: BlobInfo;
  /**
   * Bytes of the layer's uncompressed tar, to its last trailing byte. Set whenever a layer is registered. Absent for layers
   * that Docker or an early version registered; the tar-split tells it again. It is no measure of the layer's files.
   */
  readonly archiveBytes?: number;
  /** Members of the layer's tar. */
  readonly entryCount?: number;
  /**
   * Users to whom the tar's headers give its members (a PAX `uid` over the field), in ascending order. Whiteouts and global
   * headers are left out. Set whenever a layer is registered, and then whole: absent, as {@link archiveBytes} may be, also
   * when there are more than 65,536, or one is no id. They are not the owners on disk, where id maps and
   * `ignore_chown_errors` give others.
   */
  readonly uids?: readonly number[];
  /** Groups to whom they are given, likewise. */
  readonly gids?: readonly number[];
  /** Attributes that the file system could not take; the tar-split keeps them for the export. */
  readonly droppedAttributes?: number;
  /** The first of them, at most a hundred. Absent: there were none, or they were only counted. */
  readonly dropped?: readonly DroppedAttribute[];
}

/** A record as read, and what is wrong beside it. */
export interface LayerReading {
  readonly record: LayerRecord;
  /** Why `strata.json` could not be read; the layer is whole without it. */
  readonly extrasError?: StrataError;
}

const droppedSchema = v.object({ entry: v.string(), attribute: v.string(), reason: v.string() });

const extrasSchema = v.object({
  schema: v.literal(1),
  created: v.exactOptional(timeSchema),
  outside: v.exactOptional(v.string()),
  blob: v.exactOptional(blobInfoSchema),
  archiveBytes: v.exactOptional(countSchema),
  entryCount: v.exactOptional(countSchema),
  uids: v.exactOptional(v.array(countSchema)),
  gids: v.exactOptional(v.array(countSchema)),
  droppedAttributes: v.exactOptional(countSchema),
  dropped: v.exactOptional(v.array(droppedSchema)),
});

/**
 * Reads the record in a directory.
 * @throws {StrataError} `CORRUPT` naming the file and the remedy when one is missing, malformed or disagrees
 */
export function readLayerRecord(dir: string, chainId: ChainId): LayerReading {
  const context = layerContext(chainId);
  const diffId = requireParsed(`${dir}/diff`, parseDiffId, context);
  const sizeBytes = readSize(`${dir}/size`, context);
  const cacheId = requireParsed(`${dir}/cache-id`, parseCacheId, context);
  const parent = readParsed(`${dir}/parent`, parseChainId, context);
  const descriptor = readDescriptor(`${dir}/descriptor.json`, context);
  const actual = chainOn(parent, diffId);
  if (actual !== chainId) {
    const below = parent === undefined ? `no "parent" file` : `"parent" ${parent}`;
    throw corruptFile(dir, `does not match its name: "diff" ${diffId} and ${below} give ${actual}`, context);
  }
  const base: LayerRecord = {
    chainId,
    diffId,
    ...(parent === undefined ? {} : { parent }),
    cacheId,
    sizeBytes,
    ...(descriptor === undefined ? {} : { descriptor }),
  };
  try {
    const { schema: _schema, ...extras } = readRecordJson(`${dir}/strata.json`, extrasSchema, context) ?? { schema: 1 };
    return { record: { ...base, ...extras } };
  } catch (error) {
    return { record: base, extrasError: asStrataError(error, context.action) };
  }
}

/**
 * Writes a record into a directory that is not published yet, in Docker's order, and syncs file by file.
 * @throws {StrataError} `INVALID_ARGUMENT` when the ChainID is not that of parent and DiffID
 */
export function stageLayerRecord(dir: string, record: LayerRecord, durability: Durability): void {
  if (chainOn(record.parent, record.diffId) !== record.chainId) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot record layer ${record.chainId}: it is not the chain of its parent and ${record.diffId}`,
      { argument: "chainId" },
    );
  }
  const files: [name: string, text: string][] = [
    ["diff", record.diffId],
    ["size", String(record.sizeBytes)],
    ["cache-id", record.cacheId],
  ];
  if (record.descriptor !== undefined) files.push(["descriptor.json", descriptorText(record.descriptor)]);
  if (record.parent !== undefined) files.push(["parent", record.parent]);
  files.push(["strata.json", jsonText(extrasDocument(record))]);
  writeStagedFiles(dir, files, durability);
}

/** What can still be told of a damaged record: what it refers to must not be taken for garbage. */
export function peekLayerRecord(dir: string, chainId: ChainId): Pick<Partial<LayerRecord>, "cacheId" | "parent"> {
  const context = layerContext(chainId);
  const cacheId = attempt(() => readParsed(`${dir}/cache-id`, parseCacheId, context));
  const parent = attempt(() => readParsed(`${dir}/parent`, parseChainId, context));
  return { ...(cacheId === undefined ? {} : { cacheId }), ...(parent === undefined ? {} : { parent }) };
}

/**
 * Refuses a directory that holds no tar-split: its layer could never be exported (I6).
 * @throws {StrataError} `CORRUPT`
 */
export function requireTarSplit(dir: string, chainId: ChainId): void {
  const path = `${dir}/${TAR_SPLIT_FILE}`;
  if (!pathExists(path)) throw corruptFile(path, "is missing", layerContext(chainId));
}

function layerContext(chainId: ChainId): ReadContext {
  return { action: `read layer ${chainId}`, remedy: `register the layer again, or run "strata fsck --repair"` };
}

function extrasDocument(extras: LayerExtras): object {
  const { created, outside, blob, archiveBytes, entryCount, uids, gids, droppedAttributes, dropped } = extras;
  return { schema: 1, created, outside, blob, archiveBytes, entryCount, uids, gids, droppedAttributes, dropped };
}

/** Docker trims what it writes without a newline, so that files made by hand work. */
function readParsed<T>(path: string, parse: (text: string) => T, context: ReadContext): T | undefined {
  const text = readRecordText(path, context)?.trim();
  if (text === undefined) return undefined;
  if (text === "") throw corruptFile(path, "is empty", context);
  try {
    return parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw corruptFile(path, `is malformed (${reason})`, { ...context, cause });
  }
}

function requireParsed<T>(path: string, parse: (text: string) => T, context: ReadContext): T {
  const value = readParsed(path, parse, context);
  if (value === undefined) throw corruptFile(path, "is missing", context);
  return value;
}

/** Go's ParseInt on the untrimmed text, less what a number here cannot hold. */
function readSize(path: string, context: ReadContext): number {
  const text = readRecordText(path, context);
  if (text === undefined) throw corruptFile(path, "is missing", context);
  const size = Number(text);
  if (!/^[+-]?[0-9]+$/.test(text) || !Number.isSafeInteger(size)) {
    throw corruptFile(path, `holds ${JSON.stringify(text.slice(0, 40))}, which is no size`, context);
  }
  return size;
}
