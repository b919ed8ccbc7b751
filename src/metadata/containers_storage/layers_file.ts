// SPDX-License-Identifier: Apache-2.0
/**
 * Reading `layers.json` of containers/storage: one JSON array of records (layers.go, `Layer`).
 *
 * The file is replaced by a rename whenever anything changes, so it is whole at any time and no lock is needed. Keys that
 * are not known are ignored, as that tool does; a value of another type is damage. One damaged record hides no other (I8).
 *
 * @module
 */
import * as v from "valibot";
import { type DiffId, type Digest, parseDiffId, parseDigest } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { checkIdMappings, type IdMap, type IdMappings } from "../../core/id_map.ts";
import { type OutsideId, parseOutsideId } from "../../core/ids.ts";
import { LAYERS_JSON_BYTES_MAX } from "../../core/limits.ts";
import { fromOsError } from "../../host/errno.ts";
import { readBytes, statPath } from "../../host/files.ts";
import { countSchema } from "../blob_info.ts";
import { type JsonValue, jsonValue } from "../catalog/catalog_record.ts";
import type { Finding } from "../finding.ts";
import { keyed, parsedText } from "../record_file.ts";

/** What is recorded of a layer. */
export interface ContainersLayer extends OutsideId {
  readonly names: readonly string[];
  /** As it stands there: it may be an id that is not here. */
  readonly parent?: string;
  readonly metadata: string;
  readonly mountLabel?: string;
  /** RFC 3339; year 1 where none was recorded. */
  readonly created: string;
  /** The blob that was handed in. */
  readonly blob?: { readonly digest: Digest; readonly size: number };
  /** How the blob was compressed: the position in {@link COMPRESSIONS}. */
  readonly compression: number;
  /** Of the last tar that was applied: a claim, since nobody compares it with the tree. */
  readonly diffId?: DiffId;
  readonly tocDigest?: Digest;
  /** Of the uncompressed tar. */
  readonly archiveBytes?: number;
  readonly uids?: readonly number[];
  readonly gids?: readonly number[];
  readonly flags: Readonly<Record<string, JsonValue>>;
  /** Under which ids the tree is kept on disk. */
  readonly mappings: IdMappings;
  readonly bigDataNames: readonly string[];
}

/** The records of one file. */
export interface LayersFile {
  readonly layers: readonly ContainersLayer[];
  readonly findings: readonly Finding[];
}

/** Characters of a refused id that are shown. */
const ID_SHOWN_MAX = 140;
const NEVER_CREATED = "0001-01-01T00:00:00Z";
const EMPTY: LayersFile = { layers: [], findings: [] };

const timeSchema = v.pipe(v.string(), v.check((text) => !Number.isNaN(Date.parse(text)), "it is no time"));
const idMapSchema = v.array(v.object({ container_id: countSchema, host_id: countSchema, size: countSchema }));
/** Go reads an empty text as no digest. */
const EMPTY_TEXT = v.literal("");
/** Go reads `null` as the empty value of whatever stands there. */
const recordSchema = v.object({
  id: v.string(),
  names: v.nullish(v.array(v.string()), []),
  parent: v.nullish(v.string()),
  metadata: v.nullish(v.string(), ""),
  mountlabel: v.nullish(v.string()),
  created: v.nullish(timeSchema, NEVER_CREATED),
  "compressed-diff-digest": v.nullish(v.union([EMPTY_TEXT, parsedText(parseDigest)])),
  "compressed-size": v.nullish(v.pipe(v.number(), v.safeInteger()), 0),
  "diff-digest": v.nullish(v.union([EMPTY_TEXT, parsedText(parseDiffId)])),
  "toc-digest": v.nullish(v.union([EMPTY_TEXT, parsedText(parseDigest)])),
  "diff-size": v.nullish(v.pipe(v.number(), v.safeInteger())),
  compression: v.nullish(v.pipe(v.number(), v.safeInteger()), 0),
  uidset: v.nullish(v.array(countSchema)),
  gidset: v.nullish(v.array(countSchema)),
  flags: v.nullish(keyed(jsonValue), {}),
  uidmap: v.nullish(idMapSchema, []),
  gidmap: v.nullish(idMapSchema, []),
  "big-data-names": v.nullish(v.array(v.string()), []),
});

/** One file of one root. What was read is kept as long as the file is the same. */
export class LayersFileReader {
  readonly #path: string;
  #identity = "";
  #content: LayersFile = EMPTY;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * The records as they are now; the same object as long as the file is the same. No file, or an empty one, has none.
   * @throws {StrataError} `CORRUPT` naming the file when it is no JSON array
   */
  read(): LayersFile {
    const action = `read the layers of "${this.#path}"`;
    try {
      // Asked before reading: what a writer puts there meanwhile has another identity, and is read the next time.
      const identity = identityOf(this.#path);
      if (identity !== this.#identity) {
        this.#content = parseLayersFile(this.#path);
        this.#identity = identity;
      }
      return this.#content;
    } catch (error) {
      throw fromOsError(error, action);
    }
  }
}

function identityOf(path: string): string {
  const stat = statPath(path);
  return stat === undefined ? "absent" : `${stat.mtime.sec}.${stat.mtime.nsec} ${stat.size} ${stat.ino}`;
}

function parseLayersFile(path: string): LayersFile {
  const text = new TextDecoder().decode(readBytes(path, { max: LAYERS_JSON_BYTES_MAX }) ?? new Uint8Array());
  if (text.trim() === "") return EMPTY;
  const layers: ContainersLayer[] = [];
  const findings: Finding[] = [];
  for (const [position, item] of recordsIn(text, path).entries()) {
    try {
      layers.push(layerOf(v.parse(recordSchema, item)));
    } catch (cause) {
      findings.push(damagedRecord(path, { position, item, cause }));
    }
  }
  return { layers, findings };
}

function recordsIn(text: string, path: string): readonly unknown[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw corrupt(path, "is not JSON", cause);
  }
  if (document === null) return [];
  if (!Array.isArray(document)) throw corrupt(path, "is no list of layers");
  return document;
}

function layerOf(record: v.InferOutput<typeof recordSchema>): ContainersLayer {
  const { parent, mountlabel: mountLabel, uidset: uids, gidset: gids } = record;
  const digest = record["compressed-diff-digest"];
  const diffId = record["diff-digest"];
  const tocDigest = record["toc-digest"];
  const archiveBytes = diffId ? record["diff-size"] ?? 0 : undefined;
  return {
    ...parseOutsideId(record.id),
    names: [...new Set(record.names)],
    ...(parent ? { parent } : {}),
    metadata: record.metadata,
    ...(mountLabel ? { mountLabel } : {}),
    created: record.created,
    ...(digest ? { blob: { digest, size: Math.max(0, record["compressed-size"]) } } : {}),
    compression: record.compression,
    ...(diffId ? { diffId } : {}),
    ...(tocDigest ? { tocDigest } : {}),
    ...(archiveBytes === undefined || archiveBytes < 0 ? {} : { archiveBytes }),
    ...(uids ? { uids } : {}),
    ...(gids ? { gids } : {}),
    flags: record.flags,
    mappings: checkIdMappings({ uids: idMapOf(record.uidmap), gids: idMapOf(record.gidmap) }),
    bigDataNames: record["big-data-names"],
  };
}

function idMapOf(ranges: v.InferOutput<typeof idMapSchema>): IdMap[] {
  return ranges.map(({ container_id, host_id, size }) => ({ containerId: container_id, hostId: host_id, size }));
}

function damagedRecord(
  path: string,
  { position, item, cause }: { readonly position: number; readonly item: unknown; readonly cause: unknown },
): Finding {
  const id = typeof item === "object" && item !== null && "id" in item && typeof item.id === "string" ? item.id : "";
  const subject = id === "" ? `layer ${position + 1}` : id.slice(0, ID_SHOWN_MAX);
  const reason = cause instanceof SyntaxError ? `unusable id "${id.slice(0, ID_SHOWN_MAX)}"` : reasonOf(cause);
  const error = corrupt(path, `has a record that is refused, "${subject}": ${reason}`, cause);
  return { severity: "broken", kind: "record", subject, path, error };
}

function reasonOf(cause: unknown): string {
  if (cause instanceof v.ValiError) {
    const [issue] = cause.issues;
    return `at "${v.getDotPath(issue) ?? ""}": ${issue.message}`;
  }
  return cause instanceof Error ? cause.message : String(cause);
}

function corrupt(path: string, problem: string, cause?: unknown): StrataError<"CORRUPT"> {
  return new StrataError(
    "CORRUPT",
    `Cannot read layers of containers/storage: "${path}" ${problem}; repair it with the tool that it belongs to`,
    { path },
    { cause },
  );
}
