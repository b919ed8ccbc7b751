// SPDX-License-Identifier: Apache-2.0
/**
 * The process that `driver_process.ts` kills.
 *
 * @module
 */
import process from "node:process";
import { openDriver } from "../../src/driver/registry.ts";
import { crashAt } from "../../src/testing/driver_suite.ts";
import type { DriverOrder } from "./driver_process.ts";

const { spec, work, point }: DriverOrder = JSON.parse(process.argv[2] ?? "");
await crashAt(point, { driver: openDriver(spec), work });
