// SPDX-License-Identifier: Apache-2.0
/**
 * Which format saved images have, told by what files there are.
 *
 * Archives of Docker 25 and later are both Docker's and an OCI layout. Docker's list goes first, since it has the names that
 * `docker load` would give; then its images must be the layout's, too, or two readers would load different images.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { DOCKER_MANIFEST, LEGACY_LIST, readDockerArchive } from "./docker_archive.ts";
import { type ImageFiles, unusable } from "./image_files.ts";
import { configDigestsOf, OCI_INDEX, OCI_MARKER, readOciLayout } from "./oci_layout.ts";
import type { PlannedImage } from "./planned_image.ts";
import { fits, noneFits, type Platform } from "./platform.ts";

/**
 * The images among some files, for the platform that is wanted, if any is.
 * @throws {StrataError} `INVALID_ARCHIVE` when it is no image, or a malformed one; `NOT_FOUND` when none is for the
 *   platform; `DIGEST_MISMATCH`, `LIMIT_EXCEEDED`, `NOT_SUPPORTED`
 */
export function readImages(files: ImageFiles, wanted: Platform | undefined): PlannedImage[] {
  const images = readAny(files, wanted);
  if (wanted === undefined) return images;
  const fitting = images.filter(({ config }) => fits(config, wanted));
  if (fitting.length > 0) return fitting;
  throw noneFits(files.shownAs, { wanted, offered: images.map(({ config }) => config) });
}

function readAny(files: ImageFiles, wanted: Platform | undefined): PlannedImage[] {
  const isDocker = files.locate(DOCKER_MANIFEST) !== undefined;
  const isOci = files.locate(OCI_MARKER) !== undefined && files.locate(OCI_INDEX) !== undefined;
  if (!isDocker && !isOci) throw notAnImage(files);
  if (!isDocker) return readOciLayout(files, wanted);
  const images = readDockerArchive(files);
  if (!isOci) return images;
  requireAgreement(files, images);
  const isNamed = images.some(({ names }) => names.length > 0);
  return isNamed && wanted === undefined ? images : readOciLayout(files, wanted);
}

function requireAgreement(files: ImageFiles, images: readonly PlannedImage[]): void {
  const inLayout = configDigestsOf(files);
  const other = images.find(({ imageId }) => !inLayout.has(imageId));
  if (other === undefined) return;
  throw unusable(files, DOCKER_MANIFEST, `it lists image ${other.imageId}, which "${OCI_INDEX}" does not`);
}

function notAnImage(files: ImageFiles): StrataError<"INVALID_ARCHIVE"> {
  const isLegacy = files.locate(LEGACY_LIST) !== undefined;
  const found = isLegacy
    ? `it is from Docker before 1.10 ("${LEGACY_LIST}" without "${DOCKER_MANIFEST}"); load it with that Docker and save it with a newer one`
    : `it has neither "${DOCKER_MANIFEST}" nor "${OCI_MARKER}" with "${OCI_INDEX}"; ` +
      'accepted are docker-archive, OCI archive and OCI layout directory; for a layer\'s tar use "strata register"';
  return new StrataError("INVALID_ARCHIVE", `Cannot load image from "${files.shownAs}": ${found}`, { stage: "source" });
}
