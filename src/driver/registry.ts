// SPDX-License-Identifier: Apache-2.0
/**
 * Which drivers there are, and which one a root is to use.
 *
 * A root that holds a driver's layers goes on with that driver: another would find nothing. The order of preference, the
 * names of drivers long gone and the refusal to guess among several are Docker's.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { listNames, pathExists } from "../host/files.ts";
import type { Driver } from "./driver.ts";
import type { DriverSpec } from "./driver_spec.ts";
import { OVERLAY_FACTORY } from "./overlay/overlay_driver.ts";
import { VFS_FACTORY } from "./vfs/vfs_driver.ts";

/** How a driver is made. */
export interface DriverFactory {
  /**
   * Opens the driver, making its home when there is none.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have
   */
  open(spec: DriverSpec): Driver;
  /** Why the driver cannot work with this home on this machine, as a clause; `undefined` when it can. */
  probe(home: string): Promise<string | undefined>;
}

/** What {@link chooseDriver} decides by. */
export interface DriverChoice {
  /** The store's root, above all drivers' homes. */
  readonly root: string;
  /** The driver's name, when the user gives one. */
  readonly requested?: string | undefined;
  readonly options?: Readonly<Record<string, string>> | undefined;
  /** `read-only`: nothing may be written below the root, so nothing is tried, and the driver's home must be there. */
  readonly access?: "read-write" | "read-only";
}

/** The drivers of this package, the best first. */
export const DRIVER_NAMES = ["overlay2", "vfs"] as const;

const factories = new Map<string, DriverFactory>([
  ["overlay2", OVERLAY_FACTORY],
  ["vfs", VFS_FACTORY],
]);

/** Docker's drivers that this package has not. A root that one of them filled must not look empty. */
const FOREIGN = ["aufs", "btrfs", "devicemapper", "fuse-overlayfs", "overlay", "zfs"];
/** Those that Docker itself removed. */
const REMOVED = new Set(["aufs", "devicemapper", "overlay"]);

/**
 * Adds a driver under a name of its own, for this thread. Threads that unpack must register it as well.
 * @throws {StrataError} `CONFLICT` when the name is taken
 */
export function registerDriver(name: string, factory: DriverFactory): void {
  if (factories.has(name) || FOREIGN.includes(name)) {
    throw new StrataError("CONFLICT", `Cannot register driver "${name}": the name is taken; choose another`, {
      kind: "driver",
      name,
    });
  }
  factories.set(name, factory);
}

/**
 * Opens the driver that a spec names. Cheap: nothing is probed.
 * @throws {StrataError} `NOT_SUPPORTED` for an unknown driver, `INVALID_ARGUMENT` for options it does not have
 */
export function openDriver(spec: DriverSpec): Driver {
  return factoryOf(spec.name).open(spec);
}

/**
 * The driver to use below a root: the one asked for, else the one whose layers the root holds, else the best that works.
 * @throws {StrataError} `NOT_SUPPORTED` when it cannot work here, `AMBIGUOUS` when the root holds several drivers' layers
 */
export async function chooseDriver(choice: DriverChoice): Promise<DriverSpec> {
  const name = choice.requested ?? priorDriver(choice.root);
  if (choice.access === "read-only") return specOf(presentDriver(choice.root, name), choice);
  if (name === undefined) return specOf(await bestDriver(choice.root), choice);
  const reason = await factoryOf(name).probe(homeOf(choice.root, name));
  if (reason !== undefined) {
    throw new StrataError("NOT_SUPPORTED", `Cannot use driver "${name}": ${reason}`, { feature: `driver ${name}` });
  }
  return specOf(name, choice);
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

async function bestDriver(root: string): Promise<string> {
  const reasons: string[] = [];
  for (const [name, factory] of factories) {
    const reason = await factory.probe(homeOf(root, name));
    if (reason === undefined) return name;
    reasons.push(`${name}: ${reason}`);
  }
  throw new StrataError("NOT_SUPPORTED", `Cannot find a driver for "${root}": ${reasons.join("; ")}`, {
    feature: "driver",
  });
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
  throw new StrataError("NOT_SUPPORTED", `Cannot use driver "${name}": ${reason}; use one of ${known}`, {
    feature: `driver ${name}`,
  });
}

function isFilled(home: string): boolean {
  return pathExists(home) && listNames(home).length > 0;
}

function homeOf(root: string, name: string): string {
  return `${root}/${name}`;
}

function specOf(name: string, choice: DriverChoice): DriverSpec {
  return { name, home: homeOf(choice.root, name), options: choice.options ?? {} };
}
