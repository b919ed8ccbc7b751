// SPDX-License-Identifier: Apache-2.0
/**
 * Drivers with homes that live as long as a test.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openDriver } from "../../src/driver/registry.ts";
import { ensureDir } from "../../src/host/files.ts";
import { driverCases, type DriverContext } from "../../src/testing/driver_suite.ts";

/** Calls with a fresh driver; unmounts and removes everything afterwards. */
export async function withScratchDriver(
  name: string,
  use: (context: DriverContext) => Promise<void> | void,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), `strata ${name},a:b-`));
  const work = join(root, "work");
  ensureDir(work, 0o700);
  const spec = { name, home: join(root, name), options: {} };
  const driver = openDriver(spec);
  try {
    await use({ driver, work, reopen: () => openDriver(spec) });
  } finally {
    await driver.cleanup();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Runs the suite on a driver. */
export function runSuite(name: string, skip: string | undefined): void {
  for (const { name: caseName, needs, run } of driverCases) {
    test(`${name}: ${caseName}`, { skip: skip ?? false }, async (t) => {
      await withScratchDriver(name, async (context) => {
        if (needs?.(context.driver.capabilities) === false) return t.skip("the driver cannot do it here");
        await run(context);
      });
    });
  }
}
