// SPDX-License-Identifier: Apache-2.0
/**
 * Opening homes of other tools' drivers.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { Driver } from "../driver.ts";
import type { DriverSpec } from "../interfaces/driver_spec.ts";
import { OverlayReader } from "./overlay_reader.ts";
import { VfsReader } from "./vfs_reader.ts";

/**
 * Opens a home of containers/storage, for reading.
 * @throws {StrataError} `NOT_SUPPORTED` for drivers other than overlay and vfs
 */
export function openOutside(spec: DriverSpec): Driver {
  if (spec.name === "overlay") return new OverlayReader(spec);
  if (spec.name === "vfs") return new VfsReader(spec);
  throw new StrataError("NOT_SUPPORTED", `Cannot read layers of driver "${spec.name}": only of overlay and vfs`, {
    feature: `driver ${spec.name}`,
    lacking: "driver",
  });
}
