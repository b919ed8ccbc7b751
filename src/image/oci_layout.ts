// SPDX-License-Identifier: Apache-2.0
/**
 * OCI image layouts, as directories and as archives.
 *
 *   oci-layout             {"imageLayoutVersion":"1.0.0"}
 *   index.json             what there is: manifests, and indexes of manifests for several platforms
 *   blobs/sha256/<hex>     manifests, indexes, configs and layers by digest
 *
 * image-spec `image-layout.md`. Entries with the same name, or with none, that state platforms are one image for several
 * machines, of which one is chosen; all others are images of their own.
 *
 * @module
 */
import * as v from "valibot";
import type { Digest } from "../core/digest.ts";
import { attempt } from "../metadata/record_file.ts";
import { type ImageName, parseImageName } from "../metadata/image_name.ts";
import { blobName, parseDocument, readBlobDocument, readDocument } from "./document.ts";
import { type ImageFiles, unusable } from "./image_files.ts";
import { manifestKind, requireConfigType, requireLayerType } from "./media_types.ts";
import { type IndexEntry, type Manifest, parseIndex, parseManifest, platformSchema } from "./oci_manifest.ts";
import { planImage, type PlannedImage } from "./planned_image.ts";
import { bestFit, noneFits, type Platform, thisPlatform } from "./platform.ts";

/** The file that makes a directory or archive an OCI layout. */
export const OCI_MARKER = "oci-layout";
/** The topmost document. */
export const OCI_INDEX = "index.json";

/** A name with its registry; what containerd and Docker write. */
const FULL_NAME = "io.containerd.image.name";
/** A name, or only a tag, as the tool that wrote it likes. */
const REF_NAME = "org.opencontainers.image.ref.name";

const markerSchema = v.looseObject({ imageLayoutVersion: v.pipe(v.string(), v.regex(/^1\./)) });

/**
 * The images of a layout, each for one platform: the one that is wanted, or this machine's.
 * @throws {StrataError} `INVALID_ARCHIVE`, `DIGEST_MISMATCH`, `LIMIT_EXCEEDED`, `NOT_SUPPORTED`; `NOT_FOUND` when there
 *   is none for the platform, with those that there are
 */
export function readOciLayout(files: ImageFiles, wanted: Platform | undefined): PlannedImage[] {
  const marker = readDocument(files, OCI_MARKER);
  parseDocument(marker, { files, name: OCI_MARKER, schema: markerSchema });
  const top = parseIndex(readDocument(files, OCI_INDEX), { files, name: OCI_INDEX });
  const images = groupsOf(top).flatMap((group) => chooseOf(files, group, wanted));
  if (images.length === 0) throw unusable(files, OCI_INDEX, "it lists no image");
  return images.map(({ manifest, naming }) => readImage(files, manifest, naming));
}

/**
 * The digests of all configs that a layout leads to, as far as their manifests are there.
 * @throws {StrataError} as {@link readOciLayout}
 */
export function configDigestsOf(files: ImageFiles): Set<Digest> {
  const top = parseIndex(readDocument(files, OCI_INDEX), { files, name: OCI_INDEX });
  const present = manifestsBelow(files, top).filter(({ digest }) => files.locate(blobName(digest)) !== undefined);
  return new Set(present.map((entry) => manifestAt(files, entry).config.digest));
}

/** One image, and the entry whose annotations name it. */
interface Choice {
  readonly manifest: IndexEntry;
  readonly naming: IndexEntry;
}

/** Entries by name, in order; those without one are together. */
function groupsOf(entries: readonly IndexEntry[]): IndexEntry[][] {
  const groups = new Map<string, IndexEntry[]>();
  for (const entry of entries) {
    const name = entry.annotations.get(FULL_NAME) ?? entry.annotations.get(REF_NAME) ?? "";
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [entry]);
    else group.push(entry);
  }
  return [...groups.values()];
}

function chooseOf(files: ImageFiles, group: readonly IndexEntry[], wanted: Platform | undefined): Choice[] {
  const single = group.filter((entry) => manifestKind(entry.mediaType) === "manifest" && entry.platform === undefined);
  const several = group.filter((entry) => manifestKind(entry.mediaType) !== "other" && !single.includes(entry));
  const alone = single.map((manifest) => ({ manifest, naming: manifest }));
  const [naming] = several;
  if (naming === undefined) return alone;
  const offers = manifestsBelow(files, several)
    .map((entry) => ({ ...entry, platform: entry.platform ?? configPlatform(files, entry) }))
    .filter(({ platform }) => !isNoMachine(platform));
  const chosen = offers.length === 1 && wanted === undefined ? offers[0] : bestFit(offers, wanted ?? thisPlatform());
  if (chosen !== undefined) return [...alone, { manifest: chosen, naming }];
  throw noneFits(files.shownAs, { wanted: wanted ?? thisPlatform(), offered: offers.map(({ platform }) => platform) });
}

function configPlatform(files: ImageFiles, entry: IndexEntry): Platform {
  const { config } = manifestAt(files, entry);
  const name = blobName(config.digest);
  return parseDocument(readBlobDocument(files, config), { files, name, schema: platformSchema });
}

/** The manifests among some entries and in the indexes below them, each once: indexes may share what they list. */
function manifestsBelow(files: ImageFiles, entries: readonly IndexEntry[]): IndexEntry[] {
  const manifests: IndexEntry[] = [];
  const seen = new Set<Digest>();
  const pending = [...entries].reverse();
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    if (seen.has(entry.digest)) continue;
    seen.add(entry.digest);
    const kind = manifestKind(entry.mediaType);
    if (kind === "index") pending.push(...indexAt(files, entry).reverse());
    else if (kind === "manifest") manifests.push(entry);
  }
  return manifests;
}

function indexAt(files: ImageFiles, entry: IndexEntry): IndexEntry[] {
  const { mediaType, digest } = entry;
  return parseIndex(readBlobDocument(files, entry), { files, name: blobName(digest), mediaType });
}

function manifestAt(files: ImageFiles, entry: IndexEntry): Manifest {
  const { mediaType, digest } = entry;
  return parseManifest(readBlobDocument(files, entry), { files, name: blobName(digest), mediaType });
}

function readImage(files: ImageFiles, entry: IndexEntry, naming: IndexEntry): PlannedImage {
  const { config, layers } = manifestAt(files, entry);
  requireConfigType(config.mediaType);
  for (const { mediaType } of layers) requireLayerType(mediaType);
  return planImage(files, {
    configName: blobName(config.digest),
    configBytes: readBlobDocument(files, config),
    layers: layers.map(({ digest, size }) => ({
      name: blobName(digest),
      expectedBlob: { digest, sizeBytes: size },
    })),
    ...namesIn(naming),
  });
}

/** A bare tag names nothing by itself: whose tag it is, the layout does not say. */
function namesIn({ annotations }: IndexEntry): { names: ImageName[]; notes: string[] } {
  const full = annotations.get(FULL_NAME);
  const text = full ?? annotations.get(REF_NAME);
  if (text === undefined) return { names: [], notes: [] };
  const isName = full !== undefined || /[:/]/.test(text);
  const name = isName ? attempt(() => parseImageName(text)) : undefined;
  if (name !== undefined) return { names: [name], notes: [] };
  const why = isName ? `"${text}" is no image's name` : `"${text}" is only a tag`;
  return { names: [], notes: [`The image got no name: ${why}; give one with --name`] };
}

/** Attestations and signatures stand in an index as manifests for a machine that does not exist. */
function isNoMachine({ os, architecture }: Platform): boolean {
  return os === "unknown" || architecture === "unknown";
}
