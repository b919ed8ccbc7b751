// SPDX-License-Identifier: Apache-2.0
/**
 * What a proto driver must have, taken from a whole driver.
 *
 * @module
 */
import type { Driver } from "../../src/driver/driver.ts";
import type { DriverParts } from "../../src/driver/naive/complete_driver.ts";

/** What a proto driver must have of a driver, and some more. */
export function partsOf(driver: Driver, more: Partial<DriverParts>): DriverParts {
  return {
    spec: driver.spec,
    capabilities: driver.capabilities,
    create: (id, parent, options) => driver.create(id, parent, options),
    createReadWrite: (id, parent, options) => driver.createReadWrite(id, parent, options),
    createFromTemplate: (id, options) => driver.createFromTemplate(id, options),
    remove: (id) => driver.remove(id),
    treeOf: (id, access) => driver.treeOf(id, access),
    get: (id, options) => driver.get(id, options),
    put: (id) => driver.put(id),
    exists: (id) => driver.exists(id),
    list: () => driver.list(),
    status: () => driver.status(),
    metadata: (id) => driver.metadata(id),
    readWriteDiskUsage: (id) => driver.readWriteDiskUsage(id),
    cleanup: () => driver.cleanup(),
    additionalImageStores: () => driver.additionalImageStores(),
    ...more,
  };
}
