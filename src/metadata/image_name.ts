// SPDX-License-Identifier: Apache-2.0
/**
 * Names of images, as people write them and as Docker keeps them.
 *
 *   reference := [domain "/"] path [":" tag] ["@" digest]
 *
 * Grammar and normalisation: distribution/reference, `reference.go` and `normalize.go`. A first component without a dot
 * or colon is no domain, unless it is `localhost`; the domain is `docker.io` then, and a path of one component lies in
 * `library/`. The familiar form leaves both out, and is the one that is kept.
 *
 * @module
 */
import { type Digest, parseDigest } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";

/** A name that an image can be given. */
export interface ImageName {
  /** In its familiar form: `top` for `docker.io/library/top`. */
  readonly repository: string;
  readonly tag: string;
}

/** What a person writes for an image, besides its id. */
export interface ImageReference {
  readonly repository: string;
  /** Absent: a digest is given instead, or nothing. */
  readonly tag?: string;
  readonly digest?: Digest;
}

/** What a name without a tag means. */
export const DEFAULT_TAG = "latest";

/** Characters of domain and path together, as registries allow. */
const REPOSITORY_CHARS_MAX = 255;
const DEFAULT_DOMAIN = "docker.io";
/** Docker's older name for itself. */
const LEGACY_DOMAIN = "index.docker.io";
const OFFICIAL = "library/";

const DOMAIN =
  /^(?:\[[a-fA-F0-9:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(?::[0-9]+)?$/;
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
/** Such a name could not be told from an image's id. */
const LOOKS_LIKE_ID = /^[a-f0-9]{64}$/;

/**
 * The text as a name that an image can be given; the tag is `latest` when absent.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parseImageName(text: string): ImageName {
  const { repository, tag = DEFAULT_TAG, digest } = parseImageReference(text);
  if (digest !== undefined) throw refused(text, "a digest cannot be given as a name; give a tag");
  return { repository, tag };
}

/**
 * The text as a reference to an image by name.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parseImageReference(text: string): ImageReference {
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : parseDigestOf(text, text.slice(at + 1));
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) {
    throw refused(text, 'the tag must be letters, digits, "_", "." and "-", 128 at most');
  }
  const repository = familiarRepository(text, colon < 0 ? named : named.slice(0, colon));
  return { repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** A name as Docker keeps it: `top:1`. */
export function formatImageName({ repository, tag }: ImageName): string {
  return `${repository}:${tag}`;
}

function familiarRepository(text: string, written: string): string {
  if (LOOKS_LIKE_ID.test(written)) throw refused(text, "64 hex digits are an id; choose another name");
  const { domain, path } = splitDomain(written);
  if (domain.length + 1 + path.length > REPOSITORY_CHARS_MAX) {
    throw refused(text, `it has more than ${REPOSITORY_CHARS_MAX} characters`);
  }
  if (!DOMAIN.test(domain)) throw refused(text, `"${domain}" is not a host name`);
  if (!PATH.test(path)) {
    throw refused(text, 'expected lower-case letters and digits, joined by ".", "_", "__", "-" and "/"');
  }
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const official = path.startsWith(OFFICIAL) ? path.slice(OFFICIAL.length) : path;
  return official.includes("/") ? path : official;
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(0, slash));
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (!isDomain) return { domain: DEFAULT_DOMAIN, path: name };
  return { domain: first === LEGACY_DOMAIN ? DEFAULT_DOMAIN : first, path: name.slice(slash + 1) };
}

function parseDigestOf(text: string, digest: string): Digest {
  try {
    return parseDigest(digest);
  } catch {
    throw refused(text, 'what follows "@" must be "sha256:" and 64 lower-case hex digits');
  }
}

function refused(text: string, why: string): StrataError<"INVALID_ARGUMENT"> {
  const shown = JSON.stringify(text.slice(0, 100));
  return new StrataError("INVALID_ARGUMENT", `Cannot use ${shown} as an image's name: ${why}`, { argument: "name" });
}
