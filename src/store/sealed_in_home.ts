// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that the driver's home has before their records are published, since their driver makes layers nowhere else.
 *
 * No record names them yet, so they are garbage by definition (I1). They are claimed from before they are sealed until their
 * records are published, so that gc leaves them, however young garbage it takes; and those that are not published in the
 * end are removed by who made them. Only what a killed process leaves is left to gc.
 *
 * @module
 */
import { type CacheId, randomCacheId } from "../core/ids.ts";
import { type Claim, type ClaimName, directoryClaim } from "../metadata/claims.ts";
import type { StoreContext } from "./context.ts";
import { namedDirectories } from "./gc_snapshot.ts";

/** The layers that one operation seals in the home. Disposing of it removes those that no record names. */
export class SealedInHome implements AsyncDisposable {
  readonly #context: StoreContext;
  readonly #claims = new Map<ClaimName, Claim>();
  /** In the order of sealing: bottom first. */
  readonly #ids: CacheId[] = [];

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /**
   * Claims the names that a layer may have in the home, and gives the one for the time before it is published. For drivers
   * that seal layers beside the home there is nothing to claim.
   * @throws {StrataError} `ABORTED`
   */
  async claim(
    cacheId: CacheId,
    { signal }: { readonly signal: AbortSignal | undefined },
  ): Promise<{ readonly stagedAs?: CacheId }> {
    const { driver, claims } = this.#context;
    if (driver.capabilities.publishing === undefined) return {};
    const stagedAs = randomCacheId();
    for (const id of [cacheId, stagedAs]) {
      const name = directoryClaim(id);
      if (!this.#claims.has(name)) this.#claims.set(name, await claims.take(name, { signal }));
      this.#ids.push(id);
    }
    return { stagedAs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#removeUnpublished();
    } catch {
      // It is garbage for gc then; a failure here must neither hide another nor make one of what has succeeded.
    } finally {
      for (const claim of this.#claims.values()) claim[Symbol.dispose]();
      this.#claims.clear();
    }
  }

  /** Top first. The claims see to it that nobody else comes to name them meanwhile. */
  async #removeUnpublished(): Promise<void> {
    const { driver } = this.#context;
    const present = this.#ids.splice(0).reverse().filter((id) => driver.exists(id));
    if (present.length === 0) return;
    const { named, needed } = namedDirectories(this.#context);
    for (const id of present) if (!named.has(id) && !needed.has(id)) await driver.remove(id);
  }
}
