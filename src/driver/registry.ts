// SPDX-License-Identifier: Apache-2.0
/**
 * Which drivers there are, and which one a root is to use.
 *
 * A root that holds a driver's layers goes on with that driver: another would find nothing. The order of preference, the
 * names of drivers long gone and the refusal to guess among several are Docker's.
 *
 * @module
 */
import { type DriverLack, StrataError } from "../core/errors.ts";
import type { IdMappings } from "../core/id_map.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { listNames, pathExists } from "../host/files.ts";
import { openOutside } from "./containers_storage/open_outside.ts";
import type { Driver } from "./driver.ts";
import type { DriverSpec } from "./interfaces/driver_spec.ts";
import { findMountProgram } from "./overlay/mounting/mount_program.ts";
import { OVERLAY_FACTORY } from "./overlay/overlay_driver.ts";
import { VFS_FACTORY } from "./vfs/vfs_driver.ts";

/** Why a driver cannot work with a home. */
export interface DriverRefusal {
  /** A clause that says what to do. */
  readonly reason: string;
  /** What is missing. */
  readonly lacking: "prerequisites" | "file system";
}

/** How a driver is made. */
export interface DriverFactory {
  /**
   * Opens the driver, making its home when there is none.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have
   */
  open(spec: DriverSpec): Driver;
  /**
   * Why the driver cannot work with this home and these options on this machine; `undefined` when it can. A clause alone
   * means prerequisites.
   */
  probe(home: string, options: DriverSpec["options"]): Promise<string | DriverRefusal | undefined>;
  /** Options with which it works all the same, where {@link DriverFactory.probe} said that it does not with those given. */
  fallback?(home: string, options: DriverSpec["options"]): Promise<DriverSpec["options"] | undefined>;
}

/** How a driver is registered. */
export interface RegisterDriverOptions {
  /**
   * URL of the module whose default export is the factory. The store's threads import it: without it they do not know the
   * driver, and nothing can be registered or committed with it.
   */
  readonly module?: string | URL;
}

/** What {@link chooseDriver} decides by. */
export interface DriverChoice {
  /** The store's root, above all drivers' homes. */
  readonly root: string;
  /** The driver's name, when the user gives one. */
  readonly requested?: string | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** Under which ids all layers are kept. Absent: under their archives'. */
  readonly idMappings?: IdMappings | undefined;
  /** `read-only`: nothing may be written below the root, so nothing is tried, and the driver's home must be there. */
  readonly access?: "read-write" | "read-only";
}

/** The drivers of this package, the best first. */
export const DRIVER_NAMES = ["overlay2", "vfs"] as const;

const factories = new Map<string, DriverFactory>([
  ["overlay2", OVERLAY_FACTORY],
  ["vfs", VFS_FACTORY],
]);

/** The modules of drivers that were registered with one. */
const modules = new Map<string, string>();

/** What becomes a directory of the root, beside the store's own. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
/** A module that is found from the file that names it only. */
const RELATIVE = /^\.\.?\//;
/** Refuses a driver that only the thread knows in which it was registered. */
const UNKNOWN_IN_THREADS = {
  reason: "the store's threads do not know it; register it with the module that it comes from",
  lacking: "driver",
} as const;
/** The store's own directories. */
const RESERVED: ReadonlySet<string> = new Set(["image", "strata"]);
/** Docker's drivers that this package has not. A root that one of them filled must not look empty. */
const FOREIGN = ["aufs", "btrfs", "devicemapper", "fuse-overlayfs", "overlay", "zfs"];
/** Asked for by name, overlay2 whose mounts that program makes; its home is overlay2's, since either reads what both wrote. */
const BY_PROGRAM = "fuse-overlayfs";
/** Those that Docker itself removed. */
const REMOVED = new Set(["aufs", "devicemapper", "overlay"]);

/**
 * Adds a driver under a name of its own. Nothing registers itself by being imported.
 * @throws {StrataError} `CONFLICT` when the name is taken, `INVALID_ARGUMENT` for one that cannot be a directory's, and for
 *   a module's relative path
 */
export function registerDriver(name: string, factory: DriverFactory, { module }: RegisterDriverOptions = {}): void {
  if (!NAME.test(name)) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot register driver "${name}": expected a letter, then letters, digits, "_" or "-"`,
      { argument: "name" },
    );
  }
  if (factories.has(name) || RESERVED.has(name) || FOREIGN.includes(name)) {
    throw new StrataError("CONFLICT", `Cannot register driver "${name}": the name is taken; choose another`, {
      kind: "driver",
      name,
    });
  }
  const origin = module === undefined ? undefined : String(module);
  if (origin !== undefined && RELATIVE.test(origin)) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot register driver "${name}": threads would look for "${origin}" beside this package's files; give ` +
        "`new URL(…, import.meta.url)`",
      { argument: "module" },
    );
  }
  factories.set(name, factory);
  if (origin !== undefined) modules.set(name, origin);
}

/**
 * Opens the driver that a spec names. Cheap: nothing is probed.
 * @throws {StrataError} `NOT_SUPPORTED` for an unknown driver, `INVALID_ARGUMENT` for options it does not have
 */
export function openDriver(spec: DriverSpec): Driver {
  if (spec.outside !== undefined) return openOutside(spec);
  return factoryOf(spec.name).open(spec);
}

/**
 * As {@link openDriver}; a driver that this thread does not know yet comes from the spec's module.
 * @throws {StrataError} as {@link openDriver}; `NOT_SUPPORTED` when there is no module, or it cannot be loaded, or has no
 *   factory
 */
export async function loadDriver(spec: DriverSpec): Promise<Driver> {
  const { name, module } = spec;
  if (spec.outside === undefined && !factories.has(name)) {
    if (module === undefined) throw notSupported(name, UNKNOWN_IN_THREADS);
    const factory = await importedFrom(module, name);
    // Another job of this thread may have been faster.
    if (!factories.has(name)) registerDriver(name, asFactory(factory, spec), { module });
  }
  return openDriver(spec);
}

/**
 * The driver to use below a root: the one asked for (`fuse-overlayfs` is overlay2 with that mount program), else the one whose layers the root holds, else the best that works.
 * @throws {StrataError} `NOT_SUPPORTED` when it cannot work here, `AMBIGUOUS` when the root holds several drivers' layers
 */
export async function chooseDriver(asked: DriverChoice): Promise<DriverSpec> {
  const choice = asked.requested === BY_PROGRAM ? byProgram(asked) : asked;
  const name = choice.requested ?? priorDriver(choice.root);
  if (choice.access === "read-only") return specOf(presentDriver(choice.root, name), choice);
  if (name === undefined) return await bestDriver(choice);
  const spec = await workingSpec(name, choice);
  if (isSpec(spec)) return spec;
  throw notSupported(name, spec);
}

/**
 * Driver options as given on a command line.
 * @throws {StrataError} `INVALID_ARGUMENT` for one without `=`
 */
export function parseDriverOptions(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 0) {
      throw new StrataError("INVALID_ARGUMENT", `Cannot use the driver option "${pair}": expected "key=value"`, {
        argument: "options",
      });
    }
    return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
  }));
}

/**
 * The driver whose layers lie below the root; `undefined` for a root without any. The vfs driver's count only when
 * nothing else is there: Docker keeps other things under that name, too.
 * @throws {StrataError} `AMBIGUOUS` when there are several drivers' layers
 */
export function priorDriver(root: string): string | undefined {
  const names = [...factories.keys(), ...FOREIGN].filter((name) => isFilled(homeOf(root, name)));
  const priors = names.length > 1 ? names.filter((name) => name !== "vfs") : names;
  if (priors.length > 1) {
    throw new StrataError(
      "AMBIGUOUS",
      `Cannot choose a driver for "${root}": it holds layers of ${priors.join(", ")}; name the driver to use`,
      { ref: root, candidates: priors },
    );
  }
  return priors[0];
}

/** The same choice, as overlay2 has it. A program that the options name goes before the one that is found. */
function byProgram(choice: DriverChoice): DriverChoice {
  const requested = "overlay2";
  const home = homeOf(choice.root, BY_PROGRAM);
  if (isFilled(home)) {
    throw notSupported(BY_PROGRAM, {
      reason: `"${home}" holds Docker's layers, which are not read`,
      lacking: "driver",
    });
  }
  if (choice.access === "read-only") return { ...choice, requested };
  const program = findMountProgram();
  if (program === undefined) {
    const reason =
      `there is no "${BY_PROGRAM}" in PATH, or /dev/fuse cannot be opened; see to that, or use driver "vfs"`;
    throw notSupported(BY_PROGRAM, { reason, lacking: "prerequisites" });
  }
  return { ...choice, requested, options: { "overlay2.mount_program": program, ...choice.options } };
}

/** The driver of this name, or any, whose home is there. */
function presentDriver(root: string, name: string | undefined): string {
  if (name !== undefined) factoryOf(name);
  const names = name === undefined ? [...factories.keys()] : [name];
  const present = names.find((name) => pathExists(homeOf(root, name)));
  if (present !== undefined) return present;
  const sought = names.join(" or ");
  throw new StrataError(
    "NOT_SUPPORTED",
    `Cannot use driver ${sought} in "${root}": it has no layers there, and nothing may be written there now`,
    { feature: `driver ${sought}` },
  );
}

async function bestDriver(choice: DriverChoice): Promise<DriverSpec> {
  const reasons: string[] = [];
  for (const name of factories.keys()) {
    const spec = await workingSpec(name, choice);
    if (isSpec(spec)) return spec;
    reasons.push(`${name}: ${spec.reason}`);
  }
  throw new StrataError("NOT_SUPPORTED", `Cannot find a driver for "${choice.root}": ${reasons.join("; ")}`, {
    feature: "driver",
    lacking: "prerequisites",
  });
}

/** What a driver works with here; or why it does not. */
async function workingSpec(name: string, choice: DriverChoice): Promise<DriverSpec | DriverRefusal> {
  const spec = specOf(name, choice);
  const factory = factoryOf(name);
  const reason = await factory.probe(spec.home, spec.options);
  if (reason === undefined) return spec;
  const options = await factory.fallback?.(spec.home, spec.options);
  if (options !== undefined) return { ...spec, options };
  return typeof reason === "string" ? { reason, lacking: "prerequisites" } : reason;
}

function isSpec(spec: DriverSpec | DriverRefusal): spec is DriverSpec {
  return "home" in spec;
}

/** A module's default export, whatever it is. */
async function importedFrom(module: string, name: string): Promise<unknown> {
  try {
    const { default: factory }: { readonly default?: unknown } = await import(module);
    return factory;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw notSupported(name, { reason: `its module "${module}" cannot be loaded: ${why}`, lacking: "driver" }, {
      cause,
    });
  }
}

function asFactory(value: unknown, { name, module }: DriverSpec): DriverFactory {
  if (isFactory(value)) return value;
  throw notSupported(name, { reason: `the default export of "${module}" is no factory`, lacking: "driver" });
}

function isFactory(value: unknown): value is DriverFactory {
  return typeof value === "object" && value !== null && "open" in value && typeof value.open === "function" &&
    "probe" in value && typeof value.probe === "function";
}

function notSupported(
  name: string,
  { reason, lacking }: { readonly reason: string; readonly lacking: DriverLack },
  options: { readonly cause?: unknown } = {},
): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot use driver "${name}": ${reason}`,
    { feature: `driver ${name}`, lacking },
    options,
  );
}

function factoryOf(name: string): DriverFactory {
  const factory = factories.get(name);
  if (factory !== undefined) return factory;
  const known = [...factories.keys()].join(", ");
  const reason = REMOVED.has(name)
    ? "Docker removed it; its layers must be fetched again"
    : FOREIGN.includes(name)
    ? "this package has no such driver"
    : "it is unknown";
  throw notSupported(name, { reason: `${reason}; use one of ${known}`, lacking: "driver" });
}

/** One that this user may not look into is another's, who has layers there. */
function isFilled(home: string): boolean {
  try {
    return pathExists(home) && listNames(home).length > 0;
  } catch (error) {
    if (hasErrno(error, "EACCES", "EPERM")) return true;
    throw fromOsError(error, `look for layers in "${home}"`);
  }
}

function homeOf(root: string, name: string): string {
  return `${root}/${name}`;
}

function specOf(name: string, choice: DriverChoice): DriverSpec {
  const module = modules.get(name);
  return {
    name,
    home: homeOf(choice.root, name),
    options: choice.options ?? {},
    ...(choice.idMappings === undefined ? {} : { idMappings: choice.idMappings }),
    ...(module === undefined ? {} : { module }),
  };
}
