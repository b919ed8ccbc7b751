// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps and mounts layers with the overlay driver, to be run inside a user namespace. Its argument is an empty directory;
 * it prints what it saw as JSON.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { toText } from "../../src/core/bytes.ts";
import { randomCacheId } from "../../src/core/ids.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { ensureDir } from "../../src/host/files.ts";
import { mountAt } from "../../src/host/mount_table.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, changeLines, stackOf, topId } from "../../src/testing/driver_cases/case.ts";
import { dir, file, opaque, whiteout } from "../../src/testing/layer_builder.ts";

/** What the child saw. */
export interface NamespaceReport {
  readonly refusal?: string | undefined;
  readonly mounts: "yes" | "no";
  readonly marks: readonly string[];
  readonly superOptions: readonly string[];
  readonly names: readonly string[];
  /** Of the base layer, mounted alone. */
  readonly baseNames: readonly string[];
  readonly changes: readonly string[];
  readonly status: Readonly<Record<string, string>>;
}

if (process.argv[2] !== undefined) console.log(JSON.stringify(await report(process.argv[2])));

async function report(root: string): Promise<NamespaceReport> {
  const [home, work] = [`${root}/overlay2`, `${root}/work`];
  ensureDir(work, 0o700);
  const refusal = await probeOverlay(home);
  const driver = openDriver({ name: "overlay2", home, options: {} });
  const { mounts } = driver.capabilities;
  const nothing = { marks: [], superOptions: [], names: [], baseNames: [], changes: [] };
  const status = Object.fromEntries(driver.status());
  if (refusal !== undefined) return { refusal, mounts, ...nothing, status };
  const below = [dir("kept"), file("kept/old"), dir("emptied"), file("emptied/old"), file("gone")];
  const context = { driver, work, reopen: () => driver };
  const stack = await stackOf(context, [below, [dir("emptied"), opaque("emptied"), whiteout("gone")]]);
  using diff = RootedDir.open(`${stack[0]?.dir}/diff`);
  const marks = Array.from(diff.xattrs(at("emptied")).keys(), (name) => toText(name) ?? "");
  const id = randomCacheId();
  await driver.createReadWrite(id, topId(stack));
  const path = await driver.get(id);
  const superOptions = mountAt(path)?.superOptions ?? [];
  const names = [path, `${path}/kept`, `${path}/emptied`].flatMap((place) => readdirSync(place).sort());
  writeFileSync(`${path}/kept/old`, `${readFileSync(`${path}/kept/old`, "utf8")}new`);
  rmSync(`${path}/emptied`, { recursive: true });
  ensureDir(`${path}/emptied`, 0o755);
  writeFileSync(`${path}/emptied/new`, "");
  await driver.put(id);
  const base = await driver.get(stack[1]!.cacheId);
  const baseNames = readdirSync(base).sort();
  assert.throws(() => writeFileSync(`${base}/new`, ""), /EROFS/);
  const changes = changeLines(await driver.changes(id, topId(stack)));
  await driver.cleanup();
  return { mounts, marks, superOptions, names, baseNames, changes, status };
}
