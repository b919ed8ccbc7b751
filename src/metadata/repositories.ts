// SPDX-License-Identifier: Apache-2.0
/**
 * The images' names: Docker's `repositories.json`.
 *
 *   {"Repositories":{"top":{"top:1":"sha256:<image id>"}}}
 *
 * Outer keys are familiar names; inner keys are `name:tag`, or `name@digest` for what Docker pulled by digest. The file
 * is replaced as a whole (I3), keys sorted as Docker sorts them, and whatever is not understood stays in it.
 *
 * @module
 */
import * as v from "valibot";
import { StrataError } from "../core/errors.ts";
import { writeFileAtomic } from "../host/durable.ts";
import { fromOsError } from "../host/errno.ts";
import { type ImageId, parseImageId } from "./image_config.ts";
import { DEFAULT_TAG, formatImageName, type ImageName, type ImageReference } from "./image_name.ts";
import type { StoreLayout } from "./layout.ts";
import { attempt, readRecordJson } from "./record_file.ts";
import { type Durability, ensureRecordDir } from "./staged_files.ts";
import type { WriteLock } from "./write_lock.ts";

type Json = Readonly<Record<string, unknown>>;

/** Not `v.record`: that drops keys such as `constructor`, and an image may be called so. */
const objectSchema = v.custom<Json>(isObject, "Expected an object");

/** The names of one store's images. It caches nothing: other processes change them at any time. */
export class ImageNames {
  readonly #layout: StoreLayout;
  readonly #durability: Durability;

  constructor(layout: StoreLayout, { durability = "full" }: { readonly durability?: Durability } = {}) {
    this.#layout = layout;
    this.#durability = durability;
  }

  /**
   * Every name and its image, in the names' order.
   * @throws {StrataError} `CORRUPT`
   */
  all(): Map<string, ImageId> {
    const names = Object.values(repositoriesOf(this.#read())).filter(isObject).flatMap(Object.entries<unknown>);
    const known = names.flatMap(([name, value]): [string, ImageId][] => {
      const imageId = parsedId(value);
      return imageId === undefined ? [] : [[name, imageId]];
    });
    return new Map(known.sort(byKey));
  }

  /**
   * The image that has a name; `undefined` when none has.
   * @throws {StrataError} `CORRUPT`
   */
  find({ repository, tag, digest }: ImageReference): ImageId | undefined {
    const key = digest === undefined ? `${repository}:${tag ?? DEFAULT_TAG}` : `${repository}@${digest}`;
    const names = ownValue(repositoriesOf(this.#read()), repository);
    return isObject(names) ? parsedId(ownValue(names, key)) : undefined;
  }

  /**
   * Gives an image a name, which another image may lose by it.
   * @returns the image that had the name
   * @throws {StrataError} `CORRUPT`
   */
  tag(lock: WriteLock, name: ImageName, imageId: ImageId): ImageId | undefined {
    lock.assertCovers(this.#layout);
    const before = this.find(name);
    if (before === imageId) return before;
    const document = this.#read();
    const repositories = repositoriesOf(document);
    const names = ownValue(repositories, name.repository);
    const changed = { ...(isObject(names) ? names : {}), [formatImageName(name)]: imageId };
    this.#write({ ...document, Repositories: { ...repositories, [name.repository]: changed } });
    return before;
  }

  /**
   * Takes a name away.
   * @returns the image that had it
   * @throws {StrataError} `NOT_FOUND` when none has it; `CORRUPT`
   */
  untag(lock: WriteLock, name: ImageName): ImageId {
    lock.assertCovers(this.#layout);
    const imageId = this.find(name);
    if (imageId === undefined) throw nameNotFound(name);
    const key = formatImageName(name);
    this.#drop((candidate) => candidate === key);
    return imageId;
  }

  /**
   * Takes every name of an image away.
   * @throws {StrataError} `CORRUPT`
   */
  untagAll(lock: WriteLock, imageId: ImageId): void {
    lock.assertCovers(this.#layout);
    if (![...this.all().values()].includes(imageId)) return;
    this.#drop((_name, value) => value === imageId);
  }

  /** A repository without names goes as well, as in Docker. */
  #drop(isDropped: (name: string, value: unknown) => boolean): void {
    const document = this.#read();
    const kept = Object.entries(repositoriesOf(document)).map(([repository, names]): [string, unknown] => {
      if (!isObject(names)) return [repository, names];
      return [repository, Object.fromEntries(Object.entries(names).filter(([key, value]) => !isDropped(key, value)))];
    });
    const filled = kept.filter(([, names]) => !isObject(names) || Object.keys(names).length > 0);
    this.#write({ ...document, Repositories: Object.fromEntries(filled) });
  }

  #read(): Json {
    const path = this.#layout.repositoriesPath;
    return readRecordJson(path, objectSchema, {
      action: "read the images' names",
      remedy: "restore it, or remove it: the names are lost then, the images are not",
    }) ?? {};
  }

  #write(document: Json): void {
    const path = this.#layout.repositoriesPath;
    const repositories = Object.entries(repositoriesOf(document)).sort(byKey).map(([repository, names]) => {
      return [repository, isObject(names) ? Object.fromEntries(Object.entries(names).sort(byKey)) : names];
    });
    const text = JSON.stringify({ ...document, Repositories: Object.fromEntries(repositories) });
    try {
      ensureRecordDir(this.#layout.imageDir, 0o700, this.#durability);
      writeFileAtomic(path, text, { mode: 0o600, durability: this.#durability });
    } catch (error) {
      throw fromOsError(error, "write the images' names");
    }
  }
}

function repositoriesOf(document: Json): Json {
  const repositories = ownValue(document, "Repositories");
  return isObject(repositories) ? repositories : {};
}

/** Names come from users: one like `constructor` must not find what every object inherits. */
function ownValue(object: Json, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parsedId(value: unknown): ImageId | undefined {
  return typeof value === "string" ? attempt(() => parseImageId(value)) : undefined;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function nameNotFound(name: ImageName): StrataError<"NOT_FOUND"> {
  const ref = formatImageName(name);
  return new StrataError(
    "NOT_FOUND",
    `Cannot find image "${ref}": no image has this name; "strata images" lists what there is`,
    { kind: "image", ref },
  );
}
