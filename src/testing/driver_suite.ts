// SPDX-License-Identifier: Apache-2.0
/**
 * What every driver must do, as a list of cases. The list knows no test runner and no driver; what a driver cannot do
 * here, its capabilities say.
 *
 * @module
 */
import { answerCases } from "./driver_cases/answers.ts";
import { bulkCases } from "./driver_cases/bulk.ts";
import { contentCases } from "./driver_cases/contents.ts";
import { crashCases } from "./driver_cases/crashes.ts";
import { depthCases } from "./driver_cases/depth.ts";
import { differCases } from "./driver_cases/differs.ts";
import { diffCases } from "./driver_cases/diffs.ts";
import { hostileCases } from "./driver_cases/hostile.ts";
import { idMapCases } from "./driver_cases/id_maps.ts";
import { kindCases } from "./driver_cases/kinds.ts";
import { lifecycleCases } from "./driver_cases/lifecycle.ts";
import type { DriverCase } from "./driver_cases/case.ts";
import { mountCases } from "./driver_cases/mounts.ts";
import { moveCases } from "./driver_cases/moves.ts";
import { nameCases } from "./driver_cases/names.ts";
import { objectCases } from "./driver_cases/objects.ts";
import { oddObjectCases } from "./driver_cases/odd_objects.ts";
import { outsideCases } from "./driver_cases/outside.ts";
import { permissionCases } from "./driver_cases/permissions.ts";
import { quotaCases } from "./driver_cases/quota.ts";
import { sharingCases } from "./driver_cases/sharing.ts";
import { snapshotObjectCases } from "./driver_cases/snapshot_objects.ts";
import { snapshotCases } from "./driver_cases/snapshots.ts";
import { stackingCases } from "./driver_cases/stacking.ts";
import { templateCases } from "./driver_cases/templates.ts";
import { timeCases } from "./driver_cases/times.ts";
import { writingCases } from "./driver_cases/writing.ts";

export type { CrashPoint, DriverCase, DriverContext } from "./driver_cases/case.ts";
export { crashAt, type CrashContext } from "./driver_cases/crashes.ts";

/** All cases. Each wants a driver with an empty home of its own. */
export const driverCases: readonly DriverCase[] = [
  ...stackingCases,
  ...objectCases,
  ...timeCases,
  ...nameCases,
  ...writingCases,
  ...snapshotCases,
  ...snapshotObjectCases,
  ...kindCases,
  ...moveCases,
  ...oddObjectCases,
  ...diffCases,
  ...differCases,
  ...contentCases,
  ...answerCases,
  ...templateCases,
  ...idMapCases,
  ...permissionCases,
  ...depthCases,
  ...bulkCases,
  ...sharingCases,
  ...quotaCases,
  ...lifecycleCases,
  ...mountCases,
  ...outsideCases,
  ...crashCases,
  ...hostileCases,
];
