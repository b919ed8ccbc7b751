// SPDX-License-Identifier: Apache-2.0
/**
 * Platforms: for which machine an image is. image-spec `image-index.md`, "platform"; the names are Go's.
 *
 * @module
 */
import process from "node:process";
import { StrataError } from "../core/errors.ts";

/** A machine. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** Further kind of the processor, such as `v7`. */
  readonly variant?: string | undefined;
}

const PLATFORM = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/;
/** Other names, of the kernel and of Node. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  x86_64: "amd64",
  aarch64: "arm64",
  ia32: "386",
  i386: "386",
  armhf: "arm",
  ppc64: "ppc64le",
};
/** What is meant when no variant is given. */
const DEFAULT_VARIANTS: Readonly<Record<string, string>> = { amd64: "v1", arm: "v7", arm64: "v8" };

/**
 * The platform in `os/arch` or `os/arch/variant`.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parsePlatform(text: string): Platform {
  const [, os, architecture, variant] = PLATFORM.exec(text.toLowerCase()) ?? [];
  if (os === undefined || architecture === undefined) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot use ${JSON.stringify(text.slice(0, 100))} as a platform: expected "os/arch" or "os/arch/variant"`,
      { argument: "platform" },
    );
  }
  return { os, architecture: goArchitecture(architecture), ...(variant === undefined ? {} : { variant }) };
}

/** This machine; always Linux, since images for other systems cannot be used here. */
export function thisPlatform(): Platform {
  return { os: "linux", architecture: goArchitecture(process.arch) };
}

/** A platform as people write it. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== "").join("/");
}

/** True when an image for `offered` is what `wanted` asks for. A variant counts when it is asked for. */
export function fits(offered: Platform, wanted: Platform): boolean {
  return offered.os === wanted.os && offered.architecture === wanted.architecture &&
    (wanted.variant === undefined || variantOf(offered) === variantOf(wanted));
}

/** The best of what is offered: the architecture's usual variant, where none is asked for. */
export function bestFit<T extends { readonly platform: Platform }>(
  offers: readonly T[],
  wanted: Platform,
): T | undefined {
  const fitting = offers.filter(({ platform }) => fits(platform, wanted));
  return fitting.find(({ platform }) => variantOf(platform) === variantOf(wanted)) ?? fitting[0];
}

/** The error for an image that is not there for the machine that is wanted. */
export function noneFits(
  shownAs: string,
  { wanted, offered }: { readonly wanted: Platform; readonly offered: readonly Platform[] },
): StrataError<"NOT_FOUND"> {
  const there = offered.length === 0 ? "there is none for any" : `there is ${offered.map(formatPlatform).join(", ")}`;
  return new StrataError(
    "NOT_FOUND",
    `Cannot load image from "${shownAs}": it has none for ${formatPlatform(wanted)}; ${there}; choose with --platform`,
    { kind: "platform", ref: formatPlatform(wanted) },
  );
}

function variantOf({ architecture, variant }: Platform): string | undefined {
  return variant || DEFAULT_VARIANTS[architecture];
}

function goArchitecture(name: string): string {
  return ARCHITECTURES[name] ?? name;
}
