// SPDX-License-Identifier: Apache-2.0
/**
 * A root directory to work in, and what must stay as it is beside it.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, scratch } from "./scratch.ts";

/** Writes a file. */
export function put(root: RootedDir, path: string, content = "content"): void {
  using file = root.create(at(path), 0o644);
  file.write(new TextEncoder().encode(content));
}

/** A root directory with a directory beside it that must stay as it is. */
export function jail(): { root: RootedDir; outside: string; inside: string } & Disposable {
  const dir = scratch();
  const [inside, outside] = [join(dir.path, "root"), join(dir.path, "outside")];
  fs.mkdirSync(inside);
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, "secret"), "secret");
  const root = RootedDir.open(inside);
  return {
    root,
    outside,
    inside,
    [Symbol.dispose]() {
      root.close();
      dir[Symbol.dispose]();
    },
  };
}
