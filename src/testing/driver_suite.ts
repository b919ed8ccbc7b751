// SPDX-License-Identifier: Apache-2.0
/**
 * What every driver must do, as a list of cases. The list knows no test runner and no driver; what a driver cannot do
 * here, its capabilities say.
 *
 * @module
 */
import { hostileCases } from "./driver_cases/hostile.ts";
import { lifecycleCases } from "./driver_cases/lifecycle.ts";
import type { DriverCase } from "./driver_cases/case.ts";
import { objectCases } from "./driver_cases/objects.ts";
import { stackingCases } from "./driver_cases/stacking.ts";
import { writingCases } from "./driver_cases/writing.ts";

export type { DriverCase, DriverContext } from "./driver_cases/case.ts";

/** All cases. Each wants a driver with an empty home of its own. */
export const driverCases: readonly DriverCase[] = [
  ...stackingCases,
  ...objectCases,
  ...writingCases,
  ...lifecycleCases,
  ...hostileCases,
];
