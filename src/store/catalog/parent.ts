// SPDX-License-Identifier: Apache-2.0
/**
 * What a new layer lies on, and under which ids it is shown.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { hasCode, StrataError } from "../../core/errors.ts";
import { IDENTITY, type IdMappings, sameIdMappings } from "../../core/id_map.ts";
import type { RecordId } from "../../core/ids.ts";
import { type CatalogRecord, mappingsOf } from "../../metadata/catalog/catalog_record.ts";
import type { StoreContext } from "../context.ts";
import type { ReadingContext } from "../reading.ts";
import { locate } from "../roots/locate.ts";
import type { CreateLayerOptions } from "./create_layer.ts";
import { findRecord } from "./find_record.ts";

/** What lies below, as far as there is something. */
export interface LayerBelow {
  readonly chainId?: ChainId;
  /** The record that was named. */
  readonly recordId?: RecordId;
  /** Under which ids the layer is to be shown. Absent: as the store keeps its layers. */
  readonly idMappings?: IdMappings;
}

/**
 * What a layer to be made lies on.
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; `INVALID_ARGUMENT` for a writable layer
 */
export function layerBelow(
  context: StoreContext,
  { parent, template, idMappings }: Pick<CreateLayerOptions, "parent" | "template" | "idMappings">,
): LayerBelow {
  const named = parent === undefined ? undefined : resolveParent(context, parent);
  const copied = template === undefined ? undefined : findRecord(context, template).record;
  const recordId = named?.record?.id ?? copied?.parent;
  const from = named?.record ?? copied;
  const kept = context.driver.spec.idMappings ?? IDENTITY;
  const shownAs = idMappings === "host" ? IDENTITY : idMappings ?? (from && mappingsOf(from)) ?? kept;
  return {
    ...(named === undefined ? {} : { chainId: named.chainId }),
    ...(recordId === undefined ? {} : { recordId }),
    ...(sameIdMappings(shownAs, kept) ? {} : { idMappings: shownAs }),
  };
}

interface Parent {
  readonly chainId: ChainId;
  /** Where one was named. */
  readonly record?: CatalogRecord;
}

function resolveParent(context: StoreContext, ref: string): Parent {
  const { target, reading } = locate(context, ref);
  if (target.kind === "writable") {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot use "${ref}" as a parent: it is a writable layer; commit it first, and use the layer that makes`,
      { argument: "parent" },
    );
  }
  const [id, ...others] = target.recordIds;
  const record = id === undefined || others.length > 0 ? undefined : readable(reading, id);
  return { chainId: target.record.chainId, ...(record === undefined ? {} : { record }) };
}

function readable({ catalog }: ReadingContext, id: RecordId): CatalogRecord | undefined {
  try {
    return catalog.get(id);
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}
