// SPDX-License-Identifier: Apache-2.0
/**
 * Archives that try to get out of their tree, to hide or show what they must not, or to be two things at once; each is
 * the shape of a published attack or a trap of the format. The list knows no test runner and no driver.
 *
 * @module
 */
import { type ByteString, fromBytes, fromText } from "../core/bytes.ts";
import {
  device,
  dir,
  fifo,
  file,
  hardlink,
  type LayerMember,
  layerTar,
  opaque,
  renamed,
  symlink,
  whiteout,
} from "./layer_builder.ts";
import type { TreeShape } from "./tree_listing.ts";

/** Layers, base first, and what must come of them: the merged tree, or that the last one is refused. */
export interface HostileLayers {
  /** The archives, bottom first. */
  readonly layers: readonly Uint8Array[];
  /** The merged tree that is right, or that the last archive must be refused. */
  readonly wanted: TreeShape | "refused";
}

/** One attack. */
export interface HostileArchive {
  /** A sentence: what is tried. */
  readonly name: string;
  /**
   * The attack on a victim.
   * @param outside the absolute path of a directory beside the tree's root; nothing in it may change. It has
   * `victim/file`, `victim/dir/` and `victim/fifo`, and directories named like its neighbours with `-evil` appended
   */
  build(outside: string): HostileLayers;
}

/** All attacks. */
export const hostileArchives: readonly HostileArchive[] = [
  attack("a name that climbs (CVE-2001-1267)", () => ({
    layers: [[file("../victim/file", "evil")]],
    wanted: { "victim/": "", "victim/file": "evil" },
  })),
  attack("a name that goes down and climbs further", () => ({
    layers: [[file("a/../../victim/file", "evil")]],
    wanted: { "victim/": "", "victim/file": "evil" },
  })),
  attack("an absolute name", (outside) => ({
    layers: [[file(`${outside}/victim/file`, "evil")]],
    wanted: nested(`${outside}/victim/file`, "evil"),
  })),
  attack("an absolute name with many slashes (CVE-2021-32804)", (outside) => ({
    layers: [[file(`///${outside}/victim/file`, "evil")]],
    wanted: nested(`${outside}/victim/file`, "evil"),
  })),
  attack("a sibling whose name begins like the root's (CVE-2025-59343)", () => ({
    layers: [[file("../tree-0-evil/x", "evil"), symlink("l", "../tree-0-evil"), file("l/y", "y")]],
    wanted: { "l": "-> ../tree-0-evil", "tree-0-evil/": "", "tree-0-evil/x": "evil", "tree-0-evil/y": "y" },
  })),
  attack("a symlink to the root and a file below it (CVE-2014-6407)", () => ({
    layers: [[symlink("l", "/"), file("l/etc/x", "x")]],
    wanted: { "etc/": "", "etc/x": "x", "l": "-> /" },
  })),
  attack("an absolute symlink out and a file below it", (outside) => ({
    layers: [[symlink("l", `${outside}/victim`), file("l/file", "evil")]],
    wanted: { ...nested(`${outside}/victim/file`, "evil"), "l": `-> ${outside}/victim` },
  })),
  attack("the same in two layers", (outside) => ({
    layers: [[symlink("l", `${outside}/victim`)], [file("l/file", "evil")]],
    wanted: { ...nested(`${outside}/victim/file`, "evil"), "l": `-> ${outside}/victim` },
  })),
  attack("a climbing symlink and a file below it (CVE-2025-45582)", () => ({
    layers: [[symlink("d/l", "../../../victim"), file("d/l/file", "evil")]],
    wanted: { "d/": "", "d/l": "-> ../../../victim", "victim/": "", "victim/file": "evil" },
  })),
  attack("a chain of climbing symlinks (CVE-2026-26960)", () => ({
    layers: [[dir("a"), symlink("a/up", ".."), symlink("a/upper", "up/../.."), file("a/upper/victim/file", "evil")]],
    wanted: { "a/": "", "a/up": "-> ..", "a/upper": "-> up/../..", "victim/": "", "victim/file": "evil" },
  })),
  attack("a hard link to an absolute path outside (CVE-2026-23745)", (outside) => ({
    layers: [[hardlink("h", `${outside}/victim/file`)]],
    wanted: "refused",
  })),
  attack("the same, then a file that would be written through the link", (outside) => ({
    layers: [[hardlink("h", `${outside}/victim/file`), file("h", "evil")]],
    wanted: { "h": "evil" },
  })),
  attack("a hard link that climbs", () => ({ layers: [[hardlink("a/b/h", "../victim/file")]], wanted: "refused" })),
  attack("a hard link through a symlink out", (outside) => ({
    layers: [[symlink("l", `${outside}/victim`), hardlink("h", "l/file")]],
    wanted: "refused",
  })),
  attack("a hard link to a symlink out, with a mode (CVE-2021-32760)", (outside) => ({
    layers: [[symlink("p", `${outside}/victim/file`), { ...hardlink("h", "p"), mode: 0o777 }]],
    wanted: { "h": `-> ${outside}/victim/file`, "p": `-> ${outside}/victim/file` },
  })),
  attack("a file over a hard link writes into the other name (CVE-2018-20834)", () => ({
    layers: [[file("f", "old"), hardlink("h", "f"), file("h", "new")]],
    wanted: { "f": "old", "h": "new" },
  })),
  attack("a file through a dangling symlink", (outside) => ({
    layers: [[symlink("x", `${outside}/victim/new`), file("x", "x")]],
    wanted: { "x": "x" },
  })),
  attack("a directory over a symlink, to change its target's mode (CVE-2026-33056)", (outside) => ({
    layers: [[symlink("d", `${outside}/victim/dir`), dir("d", { mode: 0o777 })]],
    wanted: { "d/": "" },
  })),
  attack("the same in two layers", (outside) => ({
    layers: [[symlink("d", `${outside}/victim/dir`)], [dir("d", { mode: 0o777, uid: 1, gid: 1 })]],
    wanted: { "d/": "" },
  })),
  attack("a fifo and a device where a directory was", () => ({
    layers: [[dir("d"), file("d/x", "x")], [device("d", { type: "char", devMajor: 1, devMinor: 3 }), fifo("e")]],
    wanted: { "d": "char 1:3", "e": "fifo" },
  })),
  attack("a parent that is remembered as a directory after it became a symlink (CVE-2025-47290)", () => ({
    layers: [[dir("foo"), dir("foo/tmp"), file("foo/tmp/a", "a"), symlink("foo", "/"), file("foo/tmp/b", "b")]],
    wanted: { "foo": "-> /", "tmp/": "", "tmp/b": "b" },
  })),
  attack("a directory replaced by a symlink out, then a file below it (CVE-2021-32803)", (outside) => ({
    layers: [[dir("x"), symlink("x", `${outside}/victim`), file("x/file", "evil")]],
    wanted: { ...nested(`${outside}/victim/file`, "evil"), "x": `-> ${outside}/victim` },
  })),
  attack("the root replaced by a symlink (CVE-2021-29136)", (outside) => ({
    layers: [[symlink(".", outside), file("victim/file", "evil")]],
    wanted: "refused",
  })),
  attack("the root replaced by a symlink under another spelling", (outside) => ({
    layers: [[symlink("a/../.", outside), file("victim/file", "evil")]],
    wanted: "refused",
  })),
  ...[".wh.", ".wh..", ".wh...", "d/.wh...", ".wh.a/b"].map((name) =>
    attack(`a whiteout of no file: ${name}`, () => ({ layers: [[file("d/x", "x")], [file(name)]], wanted: "refused" }))
  ),
  attack("a whiteout that climbs", () => ({
    layers: [[file("d/x", "x")], [whiteout("../victim"), whiteout("d/../../victim/file"), opaque("../victim")]],
    wanted: { "d/": "", "d/x": "x", "victim/": "" },
  })),
  attack("a whiteout below a symlink out", (outside) => ({
    layers: [[symlink("l", `${outside}/victim`)], [whiteout("l/file"), whiteout("l/dir")]],
    wanted: { ...nested(`${outside}/victim/`, ""), "l": `-> ${outside}/victim` },
  })),
  attack("an opaque marker below a symlink out", (outside) => ({
    layers: [[symlink("l", `${outside}/victim`)], [opaque("l")]],
    wanted: { ...nested(`${outside}/victim/`, ""), "l": `-> ${outside}/victim` },
  })),
  attack("a directory with a whiteout's name, through a symlink", () => ({
    layers: [[symlink("s", ".wh.x"), file("s/f", "f")]],
    wanted: "refused",
  })),
  attack("a device that is overlayfs's whiteout", () => ({
    layers: [[file("a", "a")], [device("a", { type: "char", devMajor: 0, devMinor: 0 })]],
    wanted: "refused",
  })),
  attack("attributes that are overlayfs's marks", () => ({
    layers: [[file("d/x", "x"), file("secret/y", "y")], [overlayMarked("d")]],
    wanted: { "d/": "", "d/x": "x", "secret/": "", "secret/y": "y" },
  })),
  attack("a path of 1100 levels (CVE-2024-28863)", () => ({
    layers: [[file(`${"a/".repeat(1100)}f`, "f")]],
    wanted: "refused",
  })),
  attack("a component of 256 bytes", () => ({ layers: [[file("a".repeat(256), "f")]], wanted: "refused" })),
  attack("a name with a NUL in it (GHSA-gvwx-54wh-qm9j)", () => ({
    layers: [replaceBytes(layerTar([file(`${"a".repeat(120)}\u0001x`, "f")]), { from: 1, to: 0 })],
    wanted: "refused",
  })),
  attack("magic links of /proc", () => ({
    layers: [[
      symlink("p", "/proc/self/root"),
      file("p/x", "x"),
      symlink("q", "/proc/self/fd/0"),
      file("q/y", "y"),
    ]],
    wanted: {
      "p": "-> /proc/self/root",
      "proc/": "",
      "proc/self/": "",
      "proc/self/fd/": "",
      "proc/self/fd/0/": "",
      "proc/self/fd/0/y": "y",
      "proc/self/root/": "",
      "proc/self/root/x": "x",
      "q": "-> /proc/self/fd/0",
    },
  })),
  attack("two names that are no UTF-8, alike once decoded", () => ({
    layers: [[renamed(file("x", "1"), bytes(0x66, 0x80)), renamed(file("x", "2"), bytes(0x66, 0x81))]],
    wanted: { "f\\x80": "1", "f\\x81": "2" },
  })),
  attack("names that mean something to JavaScript", () => ({
    layers: [[file("__proto__", "p"), dir("constructor"), file("constructor/prototype", "c")]],
    wanted: { ["__proto__"]: "p", "constructor/": "", "constructor/prototype": "c" },
  })),
  attack("a loop of symlinks as a parent", () => ({
    layers: [[symlink("a", "b"), symlink("b", "a"), file("a/f", "f")]],
    wanted: "refused",
  })),
  attack("a symlink of 4096 bytes", () => ({ layers: [[symlink("l", "a".repeat(4096))]], wanted: "refused" })),
  attack("an owner that chown takes for none", () => ({
    layers: [[file("f", "f", { uid: 0xffff_ffff })]],
    wanted: "refused",
  })),
  attack("a hard link to a directory", () => ({ layers: [[dir("d"), hardlink("h", "d")]], wanted: "refused" })),
  attack("a hard link to itself", () => ({ layers: [[file("f", "f")], [hardlink("f", "./f")]], wanted: "refused" })),
  attack("a file as a parent", () => ({ layers: [[file("p", "p"), file("p/q", "q")]], wanted: "refused" })),
];

type Members = Uint8Array | readonly LayerMember[];

function attack(
  name: string,
  build: (outside: string) => { layers: readonly Members[]; wanted: HostileLayers["wanted"] },
): HostileArchive {
  return {
    name,
    build(outside) {
      const { layers, wanted } = build(outside);
      return { wanted, layers: layers.map((layer) => layer instanceof Uint8Array ? layer : layerTar(layer)) };
    },
  };
}

/** The shape of one object deep in a tree: its path, and every directory above. */
function nested(path: string, value: string): TreeShape {
  const names = path.split("/").filter((name) => name !== "");
  const dirs = names.slice(0, -1).map((_, i): [string, string] => [`${names.slice(0, i + 1).join("/")}/`, ""]);
  return Object.fromEntries([...dirs, [`${names.join("/")}${path.endsWith("/") ? "/" : ""}`, value]]);
}

function overlayMarked(name: string): LayerMember {
  const marks = {
    "trusted.overlay.opaque": "y",
    "trusted.overlay.redirect": "/secret",
    "trusted.overlay.metacopy": "",
    "user.overlay.opaque": "y",
    "user.overlay.redirect": "/secret",
  };
  const xattrs = new Map(Object.entries(marks).map(([key, value]) => [fromText(key), new TextEncoder().encode(value)]));
  return dir(name, { xattrs });
}

function replaceBytes(archive: Uint8Array, { from, to }: { from: number; to: number }): Uint8Array {
  return archive.map((byte) => byte === from ? to : byte);
}

function bytes(...values: number[]): ByteString {
  return fromBytes(Uint8Array.from(values));
}
