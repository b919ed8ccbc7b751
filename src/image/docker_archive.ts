// SPDX-License-Identifier: Apache-2.0
/**
 * Docker's archive of images, as `docker save` and `skopeo copy … docker-archive:` write it.
 *
 *   manifest.json  [{"Config": "<file>", "RepoTags": ["name:tag"], "Layers": ["<file>", …]}]
 *
 * Docker image spec v1.2. The files' names are free; where one is a digest, it must be the file's. Docker 25 and later name
 * them as an OCI layout does, which their archive is at the same time.
 *
 * @module
 */
import * as v from "valibot";
import { type Digest, parseDigest } from "../core/digest.ts";
import { attempt } from "../metadata/record_file.ts";
import { type ImageName, parseImageName } from "../metadata/image_name.ts";
import { parseDocument, readDocument, requireDigest } from "./document.ts";
import { type ImageFiles, unusable } from "./image_files.ts";
import { planImage, type PlannedImage, type PlannedLayer } from "./planned_image.ts";

/** The document that makes an archive Docker's. */
export const DOCKER_MANIFEST = "manifest.json";
/** The only list in archives of Docker before 1.10, whose images have neither config nor digests. */
export const LEGACY_LIST = "repositories";

const entrySchema = v.looseObject({
  Config: v.pipe(v.string(), v.nonEmpty()),
  RepoTags: v.nullish(v.array(v.string()), []),
  Layers: v.nullish(v.array(v.pipe(v.string(), v.nonEmpty())), []),
});
const manifestSchema = v.pipe(v.array(entrySchema), v.nonEmpty("it lists no image"));

const BLOB_NAME = /^blobs\/sha256\/([0-9a-f]{64})$/;
const CONFIG_NAME = /^([0-9a-f]{64})\.json$/;

/**
 * The images of an archive.
 * @throws {StrataError} `INVALID_ARCHIVE`, `DIGEST_MISMATCH`, `LIMIT_EXCEEDED`
 */
export function readDockerArchive(files: ImageFiles): PlannedImage[] {
  const bytes = readDocument(files, DOCKER_MANIFEST);
  const manifest = parseDocument(bytes, { files, name: DOCKER_MANIFEST, schema: manifestSchema });
  return manifest.map((entry) => {
    const configBytes = readConfig(files, entry.Config);
    return planImage(files, {
      configName: entry.Config,
      configBytes,
      names: entry.RepoTags.map((name) => nameIn(files, name)),
      layers: entry.Layers.map(plannedLayer),
      notes: [],
    });
  });
}

function readConfig(files: ImageFiles, name: string): Uint8Array {
  const bytes = readDocument(files, name);
  const expected = digestIn(name, CONFIG_NAME) ?? digestIn(name, BLOB_NAME);
  if (expected !== undefined) requireDigest(files, { name, expected, bytes });
  return bytes;
}

/** Other names are those of uncompressed layers, or of nothing; the DiffID vouches for them. */
function plannedLayer(name: string): PlannedLayer {
  const digest = digestIn(name, BLOB_NAME);
  return { name, ...(digest === undefined ? {} : { expectedBlob: { digest } }) };
}

function digestIn(name: string, pattern: RegExp): Digest | undefined {
  const hex = pattern.exec(name)?.[1];
  return hex === undefined ? undefined : attempt(() => parseDigest(`sha256:${hex}`));
}

function nameIn(files: ImageFiles, text: string): ImageName {
  try {
    return parseImageName(text);
  } catch (error) {
    throw unusable(files, DOCKER_MANIFEST, error instanceof Error ? error.message : String(error));
  }
}
