// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers with homes that live as long as a test, and the suite run on them.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import type { Driver } from "../../src/driver/driver.ts";
import type { DriverSpec } from "../../src/driver/interfaces/driver_spec.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { ensureDir } from "../../src/host/files.ts";
import { type DriverCase, driverCases, type DriverContext } from "../../src/testing/driver_suite.ts";
import { killAt } from "../support/driver_process.ts";

/** Which of the two runtimes this is. */
export const ON_DENO: boolean = "deno" in process.versions;

/** A driver as it is tested. */
export interface Setup {
  /** As tests are called. */
  readonly name: string;
  /** The name under which the driver is registered; absent, the same. */
  readonly driver?: string;
  readonly options?: Readonly<Record<string, string>>;
  /** How the home's directory is called: with characters that mount options take for their own, unless said otherwise. */
  readonly label?: string;
  /** How it is opened. Absent: as registered; then other processes can open it, too. */
  readonly open?: (spec: DriverSpec) => Driver;
  /** The directory whose file system is to be used. Absent: the one for temporary files. */
  readonly dir?: string;
  /** Which cases are run; absent, all. */
  readonly cases?: (driverCase: DriverCase) => boolean;
  /** Cases that this setup cannot pass, by name; the reason is the setup's to tell. */
  readonly without?: readonly string[];
  /**
   * On which runtimes. Absent: all. `deno`: one more set of options or file system for a driver that is tested on Node in
   * another setup, as neither changes what the runtime does.
   */
  readonly runtimes?: "deno";
}

/** What takes seconds, and is done once a driver. */
export function isHeavy({ cost }: DriverCase): boolean {
  return cost === "heavy";
}

/** All else. */
export function isQuick(driverCase: DriverCase): boolean {
  return !isHeavy(driverCase);
}

/** Calls with a fresh driver; unmounts and removes everything afterwards. */
export async function withScratchDriver(
  setup: string | Setup,
  use: (context: DriverContext) => Promise<void> | void,
): Promise<void> {
  const { options = {}, label = ",a:b", dir = tmpdir(), ...named } = setupOf(setup);
  const registered = named.driver ?? named.name;
  const root = mkdtempSync(join(dir, `strata ${registered}${label}-`));
  const work = join(root, "work");
  ensureDir(work, 0o700);
  const spec = { name: registered, home: join(root, registered), options };
  const open = named.open ?? openDriver;
  const driver = open(spec);
  try {
    await use({
      driver,
      work,
      reopen: () => open(spec),
      ...(named.open === undefined ? { crash: (point) => killAt({ spec, work, point }) } : {}),
    });
  } finally {
    await driver.cleanup();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Runs the suite on a driver. */
export function runSuite(setup: string | Setup, skip: string | undefined): void {
  for (const driverCase of casesOf(setup)) {
    const title = `${setupOf(setup).name}: ${driverCase.name}`;
    test(title, { skip: skip ?? false }, (t) => runCase(setup, driverCase, t));
  }
}

/** As {@link runSuite}, as parts of a test: on a file system that is there as long as the test. */
export async function runSuiteWithin(parent: TestContext, setup: Setup): Promise<void> {
  for (const driverCase of casesOf(setup)) {
    await parent.test(driverCase.name, (t) => runCase(setup, driverCase, t));
  }
}

async function runCase(setup: string | Setup, { needs, run }: DriverCase, t: TestContext): Promise<void> {
  await withScratchDriver(setup, async (context) => {
    if (needs?.(context.driver.capabilities) === false) return t.skip("the driver cannot do it here");
    await run(context);
  });
}

function casesOf(setup: string | Setup): readonly DriverCase[] {
  const { cases = () => true, without = [], runtimes } = setupOf(setup);
  if (runtimes === "deno" && !ON_DENO) return [];
  return driverCases.filter((driverCase) => !without.includes(driverCase.name) && cases(driverCase));
}

function setupOf(setup: string | Setup): Setup {
  return typeof setup === "string" ? { name: setup } : setup;
}
