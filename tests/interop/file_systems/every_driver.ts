// SPDX-License-Identifier: Apache-2.0
/**
 * The drivers' suite on one file system: every driver with each set of its options, and overlay2 of an ordinary user.
 *
 * A file system has a test file of its own here, so that they are tested side by side: each takes minutes.
 *
 * @module
 */
import { test } from "node:test";
import type { DriverCase } from "../../../src/testing/driver_suite.ts";
import { runSuiteWithin, type Setup } from "../../conformance/scratch_driver.ts";
import {
  FORCE_MASK,
  FUSE_OVERLAYFS,
  NAIVE_DIFFS,
  naiveOn,
  NO_PROGRAM,
  WITH_MOUNT_OPTIONS,
} from "../../conformance/setups.ts";
import { type InteropOptions, unlessMissing } from "../../support/interop.ts";
import { WITH_SUBORDINATE_IDS } from "../../support/ordinary_user.ts";
import { passSuiteAsUser } from "../../support/suite_of_user.ts";

/** A file system to be tested on. */
export interface TestedFileSystem {
  readonly name: string;
  /** What it takes. */
  readonly needs: InteropOptions;
  /** Makes one, empty; disposing of it removes it with all that is mounted there. */
  mount(): Disposable & { readonly path: string };
}

/** Drivers, of which all cases are run. */
const DRIVERS: readonly Setup[] = [{ name: "overlay2" }, { name: "vfs" }, naiveOn("vfs"), naiveOn("overlay2")];
/** overlay2 with further options. */
const OPTIONS: readonly Setup[] = [...WITH_MOUNT_OPTIONS, NAIVE_DIFFS];

/** Runs the suite with every setup, each on a fresh file system of this kind. */
export function testDriversOn(fileSystem: TestedFileSystem): void {
  const withProgram = fileSystem.needs.skip === false ? unlessMissing(NO_PROGRAM) : fileSystem.needs;
  for (const setup of DRIVERS) testOn(fileSystem, setup, fileSystem.needs);
  for (const setup of OPTIONS) testOn(fileSystem, { ...setup, cases: isNotDeepest }, fileSystem.needs);
  testOn(fileSystem, FUSE_OVERLAYFS, withProgram);
  testOn(fileSystem, { ...FORCE_MASK, cases: isNotDeepest }, withProgram);
  testAsUserOn(fileSystem);
}

function testOn({ name, mount }: TestedFileSystem, setup: Setup, needs: InteropOptions): void {
  test(`${setup.name} on ${name}`, needs, async (t) => {
    using fileSystem = mount();
    await runSuiteWithin(t, { ...setup, dir: fileSystem.path });
  });
}

/** In a user namespace overlays are mounted with the option "userxattr", and marks are other attributes. */
function testAsUserOn({ name, needs, mount }: TestedFileSystem): void {
  const options = needs.skip === false ? WITH_SUBORDINATE_IDS : needs;
  test(`overlay2 of an ordinary user on ${name}`, options, async (t) => {
    using fileSystem = mount();
    await passSuiteAsUser(t, { ids: "65536", tests: "overlay2: ", dir: fileSystem.path });
  });
}

/**
 * With further options, the stack of 500 layers is left out, for time: it takes ten seconds of computing on each file
 * system, most of them to make the layers, and as many layers are mounted with these options as without.
 */
function isNotDeepest({ name }: DriverCase): boolean {
  return !name.includes("or of as many as can be mounted");
}
