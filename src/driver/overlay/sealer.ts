// SPDX-License-Identifier: Apache-2.0
/**
 * How layers come into the home of an overlay driver, and under which names the layers above find them.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { exchangePaths, pathExists, renamePath } from "../../host/files.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../interfaces/layer_sealer.ts";
import { attempt, requireAbsent } from "../parts/requests.ts";
import { findLinkTo } from "./check.ts";
import type { OverlayHome } from "./home.ts";
import { findLinkName, randomLinkName } from "./layout.ts";
import { mendOutside } from "./outside/outside_diff.ts";
import { lowersOn, sealOverlay, writeLinkName, writeLowers } from "./seal.ts";

/** Takes layers into one home. The methods are the driver's. */
export class OverlaySealer {
  readonly #home: OverlayHome;

  constructor(home: OverlayHome) {
    this.#home = home;
  }

  seal(request: SealRequest): SealedLayer {
    const { ids, marks, names, options } = this.#home;
    return attempt(`seal layer ${request.cacheId}`, () => {
      const sealed = sealOverlay(request, {
        view: (stack) => this.#home.view(stack),
        link: names.nameFor(request),
        marks,
        mounter: options.mountProgram === undefined ? "kernel" : "program",
        forceMask: options.forceMask,
      });
      ids.admit(sealed, sealed.dir);
      return sealed;
    });
  }

  rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): void {
    writeLowers(sealed.dir, lowersOn(parents));
  }

  publish(sealed: SealedLayer): void {
    const { cacheId } = sealed;
    const dir = this.#dirOf(cacheId);
    requireAbsent({ cacheId, dir });
    // The name comes second: what a crash leaves between the two goes with the directory, which no record names.
    attempt(`publish layer ${cacheId}`, () => {
      renamePath(sealed.dir, dir, { replace: "never" });
      this.#home.names.link(cacheId);
    });
  }

  replace(sealed: SealedLayer): void {
    const dir = this.#dirOf(sealed.cacheId);
    attempt(`replace layer ${sealed.cacheId}`, () => {
      if (pathExists(dir)) exchangePaths(sealed.dir, dir);
      else renamePath(sealed.dir, dir, { replace: "never" });
      this.#home.names.link(sealed.cacheId);
    });
  }

  mend(id: CacheId, parents: readonly LayerLocation[]): void {
    attempt(`mend layer ${id}`, () => {
      const dir = this.#dirOf(id);
      using _room = this.#home.quota.relax(dir);
      mendOutside(dir);
      if (findLinkName(dir) === undefined) writeLinkName(dir, findLinkTo(this.#home.path, id) ?? randomLinkName());
      this.#home.names.link(id);
      const lowers = lowersOn(parents);
      if (lowers.length > 0) writeLowers(dir, lowers);
    });
  }

  #dirOf(id: CacheId): string {
    return this.#home.locate(id).dir;
  }
}
