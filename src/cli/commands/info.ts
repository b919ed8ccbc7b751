// SPDX-License-Identifier: Apache-2.0
/**
 * `strata info`.
 *
 * @module
 */
import process from "node:process";
import type { DriverCapabilities, StoreInfo } from "../../../mod.ts";
import { sizeCell } from "../cells.ts";
import type { CommandSpec } from "../command.ts";
import type { Invocation } from "../invocation.ts";
import { VERSION } from "../version.ts";

/** Says what the store is. */
export const info: CommandSpec = {
  name: "info",
  summary: "Print what the store is, and what works here",
  examples: [
    { line: "strata info", does: "for people" },
    { line: "strata info --json | jq .counts", does: "for programs" },
  ],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  await using store = await invocation.openStore();
  const facts = store.info();
  await invocation.output.value(textOf(facts), { version: VERSION, runtime: runtime(), ...facts });
}

const OWNERSHIP: Readonly<Record<DriverCapabilities["ownership"], string>> = {
  archive: "as in the archive",
  "archive-without-devices": "as in the archive; devices are left out",
  "archive-where-possible": "as in the archive, where ids can be set here",
  recorded: "as in the archive, recorded in attributes",
  self: "all files belong to this user",
};

function textOf({ root, driver, capabilities, status, fileSystem, counts }: StoreInfo): string {
  const { mounts, readOnlyMounts, lowersMax, ownership, reflink } = capabilities;
  const rows: (readonly [string, string])[] = [
    ["Version", VERSION],
    ["Runtime", runtime()],
    ["Root", root],
    ["Driver", driver],
    ...status,
    ["Mounts", mounts === "yes" && Number.isFinite(lowersMax) ? `yes, of up to ${lowersMax} layers` : mounts],
    ["Read-only mounts", readOnlyMounts],
    ["Ownership", OWNERSHIP[ownership]],
    ["Reflinks", reflink],
    ["File system", `${fileSystem.name}, ${sizeCell(fileSystem.freeBytes)} of ${sizeCell(fileSystem.totalBytes)} free`],
    [
      "Layers",
      counts.damagedLayers === 0 ? `${counts.layers}` : `${counts.layers}, and ${counts.damagedLayers} damaged`,
    ],
    ["Records", String(counts.records)],
    ["Writable layers", String(counts.writableLayers)],
    ["Images", String(counts.images)],
    ["Staging directories", String(counts.stagingDirectories)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}`).join("\n");
}

function runtime(): string {
  const { deno } = process.versions;
  return deno === undefined ? `Node ${process.versions.node}` : `Deno ${deno}`;
}
