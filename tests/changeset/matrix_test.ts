// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { dir, file, hardlink, Layering, type Member, member, symlink } from "../support/layering.ts";

/** A layer on a layer: what must come of it, or that it must be refused. */
interface Row {
  readonly id: string;
  readonly what: string;
  readonly lower: readonly Member[];
  readonly upper: readonly Member[];
  readonly wanted: readonly string[] | "refused";
}

const wh = (name: string) => file(name);

const ROWS: readonly Row[] = [
  {
    id: "M1",
    what: "a file below a directory that is a symlink in the lower layer goes through the link",
    lower: [symlink("lib", "usr/lib"), dir("usr"), dir("usr/lib"), file("usr/lib/old", "o")],
    upper: [file("lib/new", "n")],
    wanted: ["lib symlink -> usr/lib", "usr dir", "usr/lib dir", `usr/lib/new file "n"`, `usr/lib/old file "o"`],
  },
  {
    id: "M1 absolute",
    what: "also when the link is absolute, in a chain, and partly the layer's own",
    lower: [symlink("var/run", "/run"), symlink("run", "/sys/run"), file("sys/run/old", "o")],
    upper: [symlink("now", "var/run"), file("now/x", "x"), file("var/run/y", "y")],
    wanted: [
      "now symlink -> var/run",
      "run symlink -> /sys/run",
      "sys dir",
      "sys/run dir",
      `sys/run/old file "o"`,
      `sys/run/x file "x"`,
      `sys/run/y file "y"`,
      "var dir",
      "var/run symlink -> /run",
    ],
  },
  {
    id: "M2",
    what: "a character device 0:0 is no whiteout",
    lower: [file("a", "a")],
    upper: [member("char", "a")],
    wanted: "refused",
  },
  {
    id: "M3",
    what: "a whiteout of a directory, then a file in it without an entry for the directory",
    lower: [file("wd/old", "o")],
    upper: [wh(".wh.wd"), file("wd/new", "n")],
    wanted: ["wd dir", `wd/new file "n"`],
  },
  {
    id: "M4",
    what: "the same with an entry for the directory",
    lower: [dir("wd"), file("wd/old", "o")],
    upper: [wh(".wh.wd"), dir("wd"), file("wd/new", "n")],
    wanted: ["wd dir", `wd/new file "n"`],
  },
  {
    id: "M5",
    what: "the same in the other order: a whiteout hits lower layers only",
    lower: [file("wd/old", "o")],
    upper: [file("wd/new", "n"), wh(".wh.wd")],
    wanted: ["wd dir", `wd/new file "n"`],
  },
  {
    id: "M6",
    what: "a new file, then its whiteout",
    lower: [file("etc/c", "old")],
    upper: [file("etc/c", "new"), wh("etc/.wh.c")],
    wanted: ["etc dir", `etc/c file "new"`],
  },
  {
    id: "M7",
    what: "a whiteout, then the new file",
    lower: [file("etc/c", "old")],
    upper: [wh("etc/.wh.c"), file("etc/c", "new")],
    wanted: ["etc dir", `etc/c file "new"`],
  },
  ...["first", "in between", "last"].map((where, turn): Row => {
    const members = [file("d/x", "x"), wh("d/.wh.old"), file("d/y", "y")];
    members.splice([0, 2, 3][turn]!, 0, wh("d/.wh..wh..opq"));
    return {
      id: `M8 ${where}`,
      what: "an opaque directory shows what its layer brings, wherever the marker stands",
      lower: [file("d/old", "o"), file("d/older", "o"), file("d/sub/x", "x")],
      upper: members,
      wanted: ["d dir", `d/x file "x"`, `d/y file "y"`],
    };
  }),
  {
    id: "M9",
    what: "an opaque directory keeps a directory that the layer implied before the marker",
    lower: [file("dir/sub/old", "o")],
    upper: [file("dir/sub/new", "n"), wh("dir/.wh..wh..opq")],
    wanted: ["dir dir", "dir/sub dir", `dir/sub/new file "n"`],
  },
  {
    id: "M10",
    what: "an opaque root hides everything below",
    lower: [file("a", "a"), file("d/b", "b")],
    upper: [wh(".wh..wh..opq"), file("d/c", "c")],
    wanted: ["d dir", `d/c file "c"`],
  },
  ...[".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", ".wh.d/x"].map((name): Row => ({
    id: `M11 ${name}`,
    what: "a whiteout that names no file is refused",
    lower: [file("d/x", "x")],
    upper: [wh(name)],
    wanted: "refused",
  })),
  {
    id: "M12",
    what: "an overlay mark from the archive hides nothing",
    lower: [file("d/x", "x")],
    upper: [dir("d", { xattrs: { "trusted.overlay.opaque": "y" } })],
    wanted: ["d dir", `d/x file "x"`],
  },
  {
    id: "M13",
    what: "an overlay redirect from the archive exposes nothing",
    lower: [file("secret/x", "x")],
    upper: [dir("d", { xattrs: { "trusted.overlay.redirect": "/secret" } })],
    wanted: ["d dir", "secret dir", `secret/x file "x"`],
  },
  {
    id: "M14",
    what: "nor does one in the user's name space",
    lower: [file("d/x", "x")],
    upper: [dir("d", { xattrs: { "user.overlay.opaque": "y" } })],
    wanted: ["d dir", `d/x file "x"`],
  },
  {
    id: "M15",
    what: "a hard link to a lower file makes one object of both names",
    lower: [file("d/f", "f", { mode: 0o640, uid: 5 })],
    upper: [hardlink("h", "d/f"), hardlink("d/g", "/h")],
    wanted: ["d dir", `d/f file "f"`, `d/g file "f" = d/f`, `h file "f" = d/f`],
  },
  {
    id: "M15 hidden",
    what: "a hard link to a lower file that the layer removes keeps the content",
    lower: [file("f", "f")],
    upper: [wh(".wh.f"), hardlink("g", "f"), hardlink("h", "f")],
    wanted: [`g file "f"`, `h file "f" = g`],
  },
  {
    id: "M15 replaced",
    what: "a hard link to a lower file that the layer replaces keeps the old content",
    lower: [file("f", "old")],
    upper: [hardlink("g", "f"), file("f", "new")],
    wanted: [`f file "new"`, `g file "old"`],
  },
  {
    id: "M15 missing",
    what: "a hard link to nothing is refused",
    lower: [dir("d")],
    upper: [hardlink("h", "d/f")],
    wanted: "refused",
  },
  {
    id: "M15 directory",
    what: "a hard link to a lower directory is refused",
    lower: [dir("d")],
    upper: [hardlink("h", "d")],
    wanted: "refused",
  },
  {
    id: "M17",
    what: "a directory over a symlink, a symlink over a directory, a file over a directory: replaced, never followed",
    lower: [symlink("a", "t"), file("t/x", "x"), file("b/x", "x"), file("c/x", "x")],
    upper: [dir("a"), symlink("b", "t"), file("c", "c")],
    wanted: ["a dir", "b symlink -> t", `c file "c"`, "t dir", `t/x file "x"`],
  },
  {
    id: "M18",
    what: "the last of several members of one path wins",
    lower: [],
    upper: [file("f", "1"), file("./f", "2"), file("/f", "3")],
    wanted: [`f file "3"`],
  },
  {
    id: "M19",
    what: "dot-dot stays at the root",
    lower: [dir("etc")],
    upper: [file("../esc", "e"), file("etc/../etc/q", "q"), file("/etc/r", "r"), file("a/../../../b", "b")],
    wanted: [`b file "b"`, `esc file "e"`, "etc dir", `etc/q file "q"`, `etc/r file "r"`],
  },
  ...[".", "/", "./", "/.", "a/..", ".."].flatMap((name) => [symlink(name, "/x"), file(name), hardlink(name, "f")])
    .map((entry): Row => ({
      id: `M20 and M21 ${entry.entry.type} ${entry.entry.name}`,
      what: "the root is a directory",
      lower: [file("f", "f")],
      upper: [entry],
      wanted: "refused",
    })),
  {
    id: "M22 two layers",
    what: "a file below a lower file makes a directory of it",
    lower: [file("p", "p")],
    upper: [file("p/q", "q")],
    wanted: ["p dir", `p/q file "q"`],
  },
  {
    id: "M22 one layer",
    what: "a file below a file of the same layer is refused",
    lower: [],
    upper: [file("p", "p"), file("p/q", "q")],
    wanted: "refused",
  },
  { id: "M23", what: "an empty name is refused", lower: [], upper: [file("")], wanted: "refused" },
  { id: "M24", what: "fifos", lower: [], upper: [member("fifo", "p")], wanted: ["p fifo"] },
  {
    id: "M25",
    what: "an unknown type is refused",
    lower: [],
    upper: [member("unknown", "f", { typeFlag: 0x37 })],
    wanted: "refused",
  },
  {
    id: "file, then directory",
    what: "a directory that takes a file's place in the same layer does not show the lower directory again",
    lower: [file("d/old", "o")],
    upper: [file("d", "f"), dir("d"), file("d/new", "n")],
    wanted: ["d dir", `d/new file "n"`],
  },
  {
    id: "dot-dot in a link below",
    what: "a lower parent link that climbs is resolved where it lies",
    lower: [dir("a/b"), symlink("a/b/up", "../../t/./x/../y"), dir("t/y"), symlink("t/x", "/elsewhere/deep")],
    upper: [file("a/b/up/f", "f")],
    wanted: [
      "a dir",
      "a/b dir",
      "a/b/up symlink -> ../../t/./x/../y",
      "elsewhere dir",
      "elsewhere/y dir",
      `elsewhere/y/f file "f"`,
      "t dir",
      "t/x symlink -> /elsewhere/deep",
      "t/y dir",
    ],
  },
  {
    id: "loop below",
    what: "a parent that is a loop of links below is refused",
    lower: [symlink("a", "b"), symlink("b", "a")],
    upper: [file("a/f", "f")],
    wanted: "refused",
  },
  {
    id: "whiteout below a link",
    what: "a whiteout whose parent is a link below removes at the link's target",
    lower: [symlink("l", "/d"), file("d/x", "x"), file("d/y", "y")],
    upper: [wh("l/.wh.x")],
    wanted: ["d dir", `d/y file "y"`, "l symlink -> /d"],
  },
  {
    id: "whiteout of a link",
    what: "a whiteout of a symlink leaves its target",
    lower: [symlink("l", "d"), file("d/x", "x")],
    upper: [wh(".wh.l")],
    wanted: ["d dir", `d/x file "x"`],
  },
  {
    id: "whiteout in a replaced link",
    what: "a whiteout in a directory that replaces a link does not reach through the link",
    lower: [symlink("l", "d"), file("d/x", "x")],
    upper: [dir("l"), wh("l/.wh.x")],
    wanted: ["d dir", `d/x file "x"`, "l dir"],
  },
  {
    id: "aufs bookkeeping",
    what: "names of aufs are ignored at every level",
    lower: [file("d/x", "x")],
    upper: [dir(".wh..wh.plnk"), file(".wh..wh.plnk/12.34", "body"), wh(".wh..wh.aufs"), file("d/.wh..wh.tmp", "b")],
    wanted: ["d dir", `d/x file "x"`],
  },
  {
    id: "linked group, one whiteout",
    what: "of two names of one lower file one is removed",
    lower: [file("a", "a"), hardlink("b", "a")],
    upper: [wh(".wh.a")],
    wanted: [`b file "a"`],
  },
  {
    id: "whiteouts of nothing",
    what: "whiteouts of what is not there do nothing, but imply their parents",
    lower: [dir("d")],
    upper: [wh(".wh.x"), wh("d/.wh.y"), wh("n/.wh.z")],
    wanted: ["d dir", "n dir"],
  },
];

describe("layer on layer", () => {
  for (const { id, what, lower, upper, wanted } of ROWS) {
    it(`${id}: ${what}`, () => {
      using layers = new Layering();
      layers.apply(...lower);
      if (wanted === "refused") {
        const before = layers.tree();
        assert.throws(() => layers.apply(...upper), (error) => hasCode(error, "INVALID_ARCHIVE"));
        assert.deepEqual(layers.tree(), before);
      } else {
        layers.apply(...upper);
        assert.deepEqual(layers.names(), wanted);
      }
    });
  }

  it("M16: the header of a file's first name decides, not a hard link's", () => {
    using layers = new Layering();
    layers.apply(file("f", "f", { mode: 0o600, uid: 3 }), hardlink("h", "f", { mode: 0o4777, uid: 4 }));
    assert.match(layers.tree()[2]!, /^h file "f" = f \| 600 3:0 /);
  });

  it("implied directories are those of the layer below, times and attributes included", () => {
    using layers = new Layering();
    const options = { mode: 0o1711, uid: 7, gid: 8, xattrs: { "user.a": "b" }, mtime: { sec: 77, nsec: 5 } };
    layers.apply(dir(".", { mode: 0o700, mtime: { sec: 5, nsec: 6 } }), dir("d", options), file("d/x"));
    const before = layers.tree();
    layers.apply(file("d/y", "y"), file(".wh.nothing"), file("d/.wh.x"));
    assert.deepEqual(layers.tree().slice(0, 2), before.slice(0, 2));
    assert.equal(before[0], ". dir | 700 0:0 5.6");
    assert.equal(before[1], "d dir | 1711 7:8 77.5 user.a=b");
  });

  it("a directory's member replaces the attributes of the directory below", () => {
    using layers = new Layering();
    layers.apply(dir("d", { xattrs: { "user.a": "1", "user.b": "2" } }), file("d/x"));
    layers.apply(dir("d", { mode: 0o711, xattrs: { "user.b": "3" }, mtime: { sec: 9, nsec: 0 } }));
    assert.equal(layers.tree()[1], "d dir | 711 0:0 9.0 user.b=3");
  });
});
