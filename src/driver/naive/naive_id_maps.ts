// SPDX-License-Identifier: Apache-2.0
/**
 * Mapping the owners of any driver's layers, by changing them one by one.
 *
 * @module
 */
import { chownTreeByMaps } from "../../changeset/chown_tree.ts";
import { IDENTITY } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import type { LayerIdMapUpdater, UpdateIdMapOptions } from "../interfaces/layer_id_maps.ts";
import { LayerTrees } from "./layer_trees.ts";
import type { ProtoDriver } from "../interfaces/proto_driver.ts";

/** Maps owners in the tree that `get` gives; `put` follows. No layer is mapped by its mount, and no note is kept. */
export function naiveLayerIdMapUpdater(
  proto: Pick<ProtoDriver, "get" | "put" | "treeOf" | "spec">,
): LayerIdMapUpdater {
  const trees = new LayerTrees(proto);
  return {
    supportsShifting: () => "no",
    async updateLayerIdMap(id: CacheId, { from, to, mountLabel }: UpdateIdMapOptions): Promise<void> {
      await using view = await trees.open(id, { access: "writable", mountLabel });
      chownTreeByMaps(view.root, { from, to });
    },
    idMappingsOf: () => proto.spec.idMappings ?? IDENTITY,
  };
}
