// SPDX-License-Identifier: Apache-2.0
/**
 * A process that mounts a layer each time it gets a line, and prints the names in the layer's tree, or why there are none.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseCacheId } from "../../src/core/ids.ts";
import { openDriver } from "../../src/driver/registry.ts";

const [spec = "{}", id = ""] = process.argv.slice(2);
const driver = openDriver(JSON.parse(spec));
console.log("ready");
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(await driver.get(parseCacheId(id)).then((path) => readdirSync(path).join(), String));
}
