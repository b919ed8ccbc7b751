// SPDX-License-Identifier: Apache-2.0
/**
 * What objects keep in a layer: type, content, owner, mode, times, attributes, links and names.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ByteString, fromBytes, fromText } from "../../core/bytes.ts";
import { type FileStat, inodeKey } from "../../core/file_stat.ts";
import { joinPath, ROOT } from "../../core/layer_path.ts";
import {
  device,
  dir,
  fifo,
  file,
  hardlink,
  type LayerMember,
  type MemberMetadata,
  renamed,
  symlink,
  whiteout,
} from "../layer_builder.ts";
import { shapeOf } from "../tree_listing.ts";
import { assertMerged, at, type DriverCase, type DriverContext, inView, keepsOwners, stackOf } from "./case.ts";

const CAPABILITY = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const BYTES = new Uint8Array([0, 255, 10, 0, 128]);

/** Cases about single objects. */
export const objectCases: readonly DriverCase[] = [
  { name: "pipes are kept", run: async (context) => await merged(context, [fifo("p")], { p: "fifo" }) },
  { name: "device nodes are kept", needs: keepsOwners, run: devices },
  { name: "owners are kept, also of symlinks and directories", needs: keepsOwners, run: owners },
  { name: "setuid, setgid and sticky are kept", needs: keepsOwners, run: specialBits },
  { name: "files that nobody may read are kept", needs: keepsOwners, run: unreadable },
  { name: "times are kept to the nanosecond, also before 1970 and of symlinks", run: times },
  { name: "user attributes are kept, binary values too", run: (context) => attributes(context, "user.strata") },
  {
    name: "trusted attributes are kept, also on symlinks",
    needs: keepsOwners,
    run: trustedAttributes,
  },
  { name: "file capabilities are kept", needs: keepsOwners, run: capabilities },
  { name: "attributes of overlayfs in an archive have no effect", run: overlayAttributes },
  { name: "hard links are one object", run: hardLinks },
  { name: "a hard link to a file below is the same file", run: hardLinkBelow },
  { name: "a hard link outlives its first name's removal in a later layer", run: hardLinkOutlives },
  { name: "the root directory keeps its metadata", run: rootMetadata },
  { name: "names that are not UTF-8 are kept and stay apart", run: rawNames },
  { name: "names with every special character are kept", run: specialNames },
  { name: "symlink targets are kept as they are", run: symlinkTargets },
];

async function merged(
  context: DriverContext,
  members: readonly LayerMember[],
  tree: Record<string, string>,
): Promise<void> {
  return assertMerged(context, await stackOf(context, [members]), tree);
}

async function devices(context: DriverContext): Promise<void> {
  const nodes = [
    device("c", { type: "char", devMajor: 1, devMinor: 3 }),
    device("b", { type: "block", devMajor: 7, devMinor: 300 }),
  ];
  return await merged(context, nodes, { c: "char 1:3", b: "block 7:300" });
}

async function owners(context: DriverContext): Promise<void> {
  const owner = { uid: 1234, gid: 4_000_000_000 };
  const members = [dir("d", owner), file("d/f", "", owner), symlink("l", "f", owner), fifo("p", owner)];
  await expectStat(context, members, ["d", "d/f", "l", "p"].map((name) => [name, owner]));
}

async function specialBits(context: DriverContext): Promise<void> {
  const modes: readonly [string, number][] = [["setuid", 0o4755], ["setgid", 0o2711], ["all", 0o7777], ["none", 0]];
  const files = modes.map(([name, mode]) => file(name, "x", { mode }));
  const expected = [...modes, ["d", 0o1777] as const].map(([name, mode]) => [name, { mode }] as const);
  await expectStat(context, [...files, dir("d", { mode: 0o1777 })], expected);
}

async function unreadable(context: DriverContext): Promise<void> {
  const members = [dir("d", { mode: 0o500 }), file("d/f", "secret", { mode: 0 })];
  await expectStat(context, members, [["d", { mode: 0o500 }], ["d/f", { mode: 0, size: 6 }]]);
}

async function times(context: DriverContext): Promise<void> {
  const fine = { mtime: { sec: 1_234_567_890, nsec: 123_456_789 } };
  const early = { mtime: { sec: -1_000_000, nsec: 500_000_000 } };
  const members = [dir("d", fine), file("d/f", "", early), symlink("l", "f", fine), fifo("p", fine)];
  await expectStat(context, members, [["d", fine], ["d/f", early], ["l", fine], ["p", fine]]);
}

async function attributes(context: DriverContext, name: string): Promise<void> {
  await expectXattr(context, { name, value: BYTES, members: (metadata) => [dir("o", metadata)] });
  await expectXattr(context, { name, value: BYTES, members: (metadata) => [file("o", "x", metadata)] });
}

async function trustedAttributes(context: DriverContext): Promise<void> {
  await attributes(context, "trusted.strata");
  const members = (metadata: MemberMetadata) => [symlink("o", "nowhere", metadata)];
  await expectXattr(context, { name: "trusted.strata", value: BYTES, members });
}

async function capabilities(context: DriverContext): Promise<void> {
  const members = (metadata: MemberMetadata) => [file("o", "x", { mode: 0o755, uid: 7, ...metadata })];
  await expectXattr(context, { name: "security.capability", value: CAPABILITY, members });
}

async function overlayAttributes(context: DriverContext): Promise<void> {
  const below = [dir("d"), file("d/old", "1"), dir("secret"), file("secret/s", "1"), file("f", "1")];
  const upper = [
    dir("d", { xattrs: xattr("trusted.overlay.opaque", "y") }),
    dir("e", { xattrs: xattr("trusted.overlay.redirect", "/secret") }),
    file("f", "2", { xattrs: xattr("user.overlay.whiteout", "y") }),
  ];
  const tree = { "d/": "", "d/old": "1", "e/": "", f: "2", "secret/": "", "secret/s": "1" };
  await assertMerged(context, await stackOf(context, [below, upper]), tree);
}

async function hardLinks(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("a", "1"), dir("d"), hardlink("d/b", "a"), hardlink("c", "d/b")], []]);
  {
    await using view = await context.driver.view(stack);
    assert.equal(new Set(["a", "d/b", "c"].map((name) => keyOf(view.stat(at(name))))).size, 1);
  }
  await assertMerged(context, stack, { a: "1", "d/": "", "d/b": "1", c: "1" });
}

async function hardLinkBelow(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[dir("d"), file("d/a", "1", { mode: 0o640 })], [hardlink("h", "d/a")]]);
  {
    await using view = await context.driver.view(stack);
    assert.equal(keyOf(view.stat(at("h"))), keyOf(view.stat(at("d/a"))));
    assert.equal(view.stat(at("h"))?.mode, 0o640);
  }
  await assertMerged(context, stack, { "d/": "", "d/a": "1", h: "1" });
}

async function hardLinkOutlives(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("a", "1"), hardlink("b", "a")], [whiteout("a")]]);
  return assertMerged(context, stack, { b: "1" });
}

async function rootMetadata(context: DriverContext): Promise<void> {
  const metadata = { mode: 0o711, mtime: { sec: 1_111_111_111, nsec: 5 } };
  const root = renamed(dir("root", { ...metadata, xattrs: xattr("user.root", "1") }), fromText("./"));
  const stack = await stackOf(context, [[root, file("a", "1")], [file("b", "2")]]);
  {
    await using view = await context.driver.view(stack);
    const stat = view.stat(ROOT);
    assert.deepEqual({ mode: stat?.mode, mtime: stat?.mtime }, metadata);
    assert.equal(view.xattrs(ROOT).size, 1);
  }
  await assertMerged(context, stack, { a: "1", b: "2" });
}

async function rawNames(context: DriverContext): Promise<void> {
  const [one, two] = [joinPath(ROOT, bytes(0xff, 0x61)), joinPath(ROOT, bytes(0xfe, 0x61))];
  const stack = await stackOf(context, [
    [renamed(file("x", "1"), one), renamed(file("x", "2"), two), symlink("l", "x")],
    [renamed(file("x", "3"), two)],
  ]);
  {
    await using view = await context.driver.view(stack);
    assert.deepEqual(view.list(ROOT).map(({ name }) => name), [fromText("l"), two, one]);
  }
  await assertMerged(context, stack, { l: "-> x", "\\xfea": "3", "\\xffa": "1" });
}

async function specialNames(context: DriverContext): Promise<void> {
  const names = [":", ",", "\\", "a b", "\n", '"', "-rf", "$(id)", "é", "__proto__x", "x".repeat(255), "%s", "~"];
  const stack = await stackOf(context, [
    [dir("d"), ...names.map((name) => file(`d/${name}`, name))],
    [
      dir("d"),
      ...names.slice(3).map((name) => file(`d/${name}`, "2")),
      ...names.slice(0, 3).map((name) => whiteout(`d/${name}`)),
    ],
  ]);
  {
    await using view = await context.driver.view(stack);
    assert.deepEqual(new Set(view.list(at("d")).map(({ name }) => name)), new Set(names.slice(3).map(fromText)));
  }
  await assertMerged(context, stack, {
    "d/": "",
    ...Object.fromEntries(names.slice(3).map((name) => [`d/${name === "\n" ? "\\x0a" : name}`, "2"])),
  });
}

async function symlinkTargets(context: DriverContext): Promise<void> {
  const targets = { absolute: "/etc/passwd", climbing: "../../x", dangling: "nowhere/./x//y", self: "self" };
  const members = Object.entries(targets).map(([name, target]) => symlink(name, target));
  const tree = Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, `-> ${target}`]));
  return await merged(context, members, tree);
}

/** Fails unless objects have these properties, in the layer itself and seen through an empty layer above. */
async function expectStat(
  context: DriverContext,
  members: readonly LayerMember[],
  expected: readonly (readonly [name: string, stat: Partial<FileStat>])[],
): Promise<void> {
  const stack = await stackOf(context, [members, []]);
  {
    await using view = await context.driver.view(stack);
    for (const [name, properties] of expected) {
      const stat = view.stat(at(name));
      const seen = Object.fromEntries(Object.entries(stat ?? {}).filter(([key]) => key in properties));
      assert.deepEqual(seen, properties, name);
    }
  }
  await assertSameMounted(context, stack);
}

interface XattrCase {
  readonly name: string;
  readonly value: Uint8Array;
  /** Members of which `o` has the attribute. */
  members(metadata: MemberMetadata): readonly LayerMember[];
}

async function expectXattr(context: DriverContext, { name, value, members }: XattrCase): Promise<void> {
  const stack = await stackOf(context, [members({ xattrs: new Map([[fromText(name), value]]) }), []]);
  {
    await using view = await context.driver.view(stack);
    assert.deepEqual([...view.xattrs(at("o"))], [[fromText(name), value]]);
  }
  await assertSameMounted(context, stack);
}

/** The mounted tree, compared with the view in all its properties. */
async function assertSameMounted(context: DriverContext, stack: Parameters<typeof assertMerged>[1]): Promise<void> {
  await assertMerged(context, stack, await inView(context, stack, shapeOf));
}

function xattr(name: string, value: string): ReadonlyMap<ByteString, Uint8Array> {
  return new Map([[fromText(name), new TextEncoder().encode(value)]]);
}

function keyOf(stat: FileStat | undefined): string | undefined {
  return stat && inodeKey(stat);
}

function bytes(...values: number[]): ByteString {
  return fromBytes(new Uint8Array(values));
}
