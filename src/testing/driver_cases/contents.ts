// SPDX-License-Identifier: Apache-2.0
/**
 * The contents of a layer's files by their names, which archives are put together from.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type ByteString, fromBytes, fromText } from "../../core/bytes.ts";
import { hasCode } from "../../core/errors.ts";
import { randomCacheId } from "../../core/ids.ts";
import { type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import { hasErrno } from "../../host/errno.ts";
import { mountsBelow } from "../../host/mount_table.ts";
import { readChunks } from "../../host/read_chunks.ts";
import type { DiffGetter } from "../../driver/interfaces/diff_driver.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { dir, fifo, file, hardlink, type LayerMember, opaque, renamed, symlink, whiteout } from "../layer_builder.ts";
import { at, type DriverCase, type DriverContext, inTree, put, stackOf, withWritable } from "./case.ts";

/** More than is read at once. */
const LARGE = new Uint8Array(300_000).map((_, index) => index % 251);
/** Neither is UTF-8, and the second is as long as a name can be. */
const RAW_NAMES = [new Uint8Array([0xff, 0x61]), new Uint8Array(255).fill(0xfe)].map(fromBytes);

const LAYERS: readonly (readonly LayerMember[])[] = [
  [
    dir("d"),
    file("d/a", "below"),
    hardlink("d/b", "d/a"),
    file("empty"),
    file("large", LARGE),
    file("secret", "secret", { mode: 0 }),
    ...RAW_NAMES.map((name, index) => renamed(file("x", `raw ${index}`), name)),
    symlink("l", "d"),
    fifo("p"),
    dir("o"),
    file("o/old", "old"),
  ],
  [
    file("d/a", "above"),
    hardlink("again", "d/b"),
    file("l/through", "through a symlink"),
    opaque("o"),
    file("o/new", "new"),
    whiteout("large"),
    ...RAW_NAMES.map((name, index) => renamed(file("x", `above ${index}`), name)),
  ],
];

/** What each layer's archive has under which name, hard links included: their content is that of what they lead to. */
const CONTENTS: readonly ReadonlyMap<ByteString, Uint8Array>[] = [
  contents({ "d/a": "below", "d/b": "below", empty: "", secret: "secret", "o/old": "old" }, [
    [fromText("large"), LARGE],
    ...RAW_NAMES.map((name, index) => [name, bytes(`raw ${index}`)] as const),
  ]),
  contents(
    { "d/a": "above", again: "below", "l/through": "through a symlink", "o/new": "new" },
    RAW_NAMES.map((name, index) => [name, bytes(`above ${index}`)] as const),
  ),
];

/** Cases about contents. */
export const contentCases: readonly DriverCase[] = [
  { name: "every file that a layer brought is given by the name in its archive", run: givesAll },
  { name: "a layer's contents are those that it has, not those of a layer above", run: givesWritten },
  { name: "what a layer has not brought, or what is no file, has no content", run: refuses },
];

async function givesAll(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, LAYERS);
  for (const driver of [context.driver, context.reopen()]) {
    for (const [index, expected] of [...CONTENTS].reverse().entries()) {
      await using files = await driver.diffGetter(from(stack, index));
      // Twice, since a name may come twice in an archive.
      for (const [name, content] of [...expected, ...expected]) {
        assert.ok(contentOf(files, parseLayerPath(name)).equals(content), `"${name.slice(0, 20)}" has another content`);
      }
    }
  }
}

async function givesWritten(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      put(tree, "d/a", "written");
      tree.link(at("d/a"), at("linked"));
    });
    await driver.put(id);
    {
      await using files = await driver.diffGetter(stackIn(driver, id));
      for (const name of ["d/a", "linked"]) assert.equal(contentOf(files, at(name)).toString(), "written");
    }
    await using files = await driver.diffGetter(from(stack, 0));
    assert.equal(contentOf(files, at("d/a")).toString(), "above");
  });
}

async function refuses(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  {
    await using files = await driver.diffGetter(from(stack, 0));
    for (const name of ["missing", "d/missing", "missing/d", "o/old", "../d/missing"]) {
      assert.throws(() => contentOf(files, at(name)), isMissing, name);
    }
    for (const name of ["d", "l", "p", "large"]) assert.throws(() => contentOf(files, at(name)), name);
  }
  const missing = driver.locate(randomCacheId());
  await assert.rejects(
    async () => await driver.diffGetter([missing, ...stack]),
    (error) => hasCode(error, "NOT_FOUND"),
  );
  assert.deepEqual(mountsBelow(driver.spec.home), []);
}

/** As the system says it, or as a driver says it that looks into several layers. */
function isMissing(error: unknown): boolean {
  return hasErrno(error, "ENOENT", "ENOTDIR") || hasCode(error, "NOT_FOUND");
}

/** The stack below a layer, it included. */
function from(stack: readonly LayerLocation[], index: number): [LayerLocation, ...LayerLocation[]] {
  const [top, ...below] = stack.slice(index);
  if (top === undefined) throw new Error("The stack is too low");
  return [top, ...below];
}

function contentOf(files: Pick<DiffGetter, "openRead">, path: LayerPath): Buffer {
  return Buffer.concat(Array.from(readChunks(files.openRead(path)), (chunk) => chunk.slice()));
}

function contents(
  texts: Readonly<Record<string, string>>,
  more: readonly (readonly [ByteString, Uint8Array])[],
): ReadonlyMap<ByteString, Uint8Array> {
  return new Map([...Object.entries(texts).map(([name, text]) => [fromText(name), bytes(text)] as const), ...more]);
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
