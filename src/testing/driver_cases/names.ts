// SPDX-License-Identifier: Apache-2.0
/**
 * Names at the limits: 255 bytes long, not UTF-8, and paths that are nearly as long as the kernel takes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ByteString, fromBytes, fromText, toBytes } from "../../core/bytes.ts";
import { joinPath } from "../../core/layer_path.ts";
import type { DriverCapabilities } from "../../driver/interfaces/driver_spec.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { dir, file, type LayerMember, renamed, whiteout } from "../layer_builder.ts";
import { at, type DriverCase, type DriverContext, inTree, stackOf, topId, withWritable } from "./case.ts";

/** NAME_MAX of Linux's file systems. */
const NAME_BYTES_MAX = 255;
/** Every byte that a name may have: all but NUL and the slash. */
const ALL_BYTES = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 0 && byte !== 0x2f);

/** Cases about names. */
export const nameCases: readonly DriverCase[] = [
  { name: "names of 255 bytes that are not UTF-8 are kept, and hidden by whiteouts", run: longNames },
  {
    name: "a name of 255 bytes can be removed and made in a writable layer",
    needs: removesAllNames,
    run: longNamesWritten,
  },
  { name: "every byte that a name can have is kept, and told in changes", run: everyByte },
  { name: "a path of 3,600 bytes is kept, written to and removed", run: longPath },
];

/** A name of 255 bytes; none of them, and no two, are UTF-8. */
function longName(last: number): ByteString {
  const bytes = new Uint8Array(NAME_BYTES_MAX).fill(0xf8);
  bytes[NAME_BYTES_MAX - 1] = last;
  return fromBytes(bytes);
}

function named(name: ByteString, member: LayerMember): LayerMember {
  return renamed(member, joinPath(at("d"), name));
}

/** The member that hides a name: longer than a name may be, which it never is on disk. */
function whiteoutOf(name: ByteString): ByteString {
  return joinBytes(fromText("d/.wh."), name);
}

function joinBytes(one: ByteString, two: ByteString): ByteString {
  return fromBytes(new Uint8Array([...toBytes(one), ...toBytes(two)]));
}

async function longNames(context: DriverContext): Promise<void> {
  const [one, two] = [longName(0x80), longName(0x81)];
  const below = [dir("d"), named(one, file("x", "1")), named(two, file("x", "2"))];
  const stack = await stackOf(context, [below, [renamed(whiteout("x"), whiteoutOf(one))]]);
  {
    await using view = await context.driver.view(stack);
    assert.deepEqual(view.list(at("d")).map(({ name }) => name), [two]);
  }
  await withWritable(context, stack, ({ path }) => assert.deepEqual(namesIn(path), [two]));
}

async function longNamesWritten(context: DriverContext): Promise<void> {
  const [one, two, three] = [longName(0x80), longName(0x81), longName(0x82)];
  const stack = await stackOf(context, [[dir("d"), named(one, file("x", "1")), named(two, file("x", "2"))]]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      tree.unlink(joinPath(at("d"), one));
      tree.rename(joinPath(at("d"), two), joinPath(at("d"), three));
    });
    assert.deepEqual(namesIn(path), [three]);
    await context.driver.put(id);
    const changes = await context.driver.changes(id, topId(stack));
    assert.deepEqual(changes.map(({ kind, path }) => [kind, path]), [
      ["modify", at("d")],
      ["delete", joinPath(at("d"), one)],
      ["delete", joinPath(at("d"), two)],
      ["add", joinPath(at("d"), three)],
    ]);
  });
}

async function everyByte(context: DriverContext): Promise<void> {
  const names = ALL_BYTES.map((byte) => fromBytes(new Uint8Array([0x78, byte])));
  const stack = await stackOf(context, [[dir("d"), ...names.map((name) => named(name, file("x", "1")))]]);
  await withWritable(context, stack, async ({ id, path }) => {
    assert.deepEqual(namesIn(path), names);
    inTree(path, (tree) => {
      for (const name of names) tree.unlink(joinPath(at("d"), name));
    });
    await context.driver.put(id);
    const changes = await context.driver.changes(id, topId(stack));
    assert.deepEqual(changes.map(({ path }) => path), [at("d"), ...names.map((name) => joinPath(at("d"), name))]);
  });
}

async function longPath(context: DriverContext): Promise<void> {
  const parts = Array.from({ length: 18 }, (_, index) => String.fromCharCode(0x61 + index).repeat(199));
  const paths = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
  const deepest = paths.at(-1) ?? "";
  const stack = await stackOf(context, [[...paths.map((path) => dir(path)), file(`${deepest}/f`, "1")], []]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree: RootedDir) => {
      assert.equal(tree.stat(at(`${deepest}/f`))?.size, 1);
      tree.unlink(at(`${deepest}/f`));
      tree.rmdir(at(deepest));
    });
    await context.driver.put(id);
    const changes = await context.driver.changes(id, topId(stack));
    assert.deepEqual(changes.at(-1), { kind: "delete", path: at(deepest) });
  });
}

function namesIn(path: string): readonly ByteString[] {
  return inTree(path, (tree) => tree.list(at("d")).map(({ name }) => name));
}

function removesAllNames({ removableNameBytesMax }: DriverCapabilities): boolean {
  return removableNameBytesMax === undefined;
}
