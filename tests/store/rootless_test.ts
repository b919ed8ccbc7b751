// SPDX-License-Identifier: Apache-2.0
/**
 * A store of an ordinary user, through the command line: it enters the user's namespace by itself, and mounts in one
 * that the user has entered.
 *
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ByteString, fromText } from "../../src/core/bytes.ts";
import { EXIT } from "../../src/cli/exit_codes.ts";
import { digestOf } from "../../src/core/digest.ts";
import { findMountProgram } from "../../src/driver/overlay/mounting/mount_program.ts";
import type { DroppedAttribute } from "../../src/core/dropped_attribute.ts";
import { device, dir, file, hardlink, layerTar, opaque, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { OrdinaryUser, type Subordinates, WITH_SUBORDINATE_IDS, WITH_USER } from "../support/ordinary_user.ts";
import { type InteropOptions, unlessMissing } from "../support/interop.ts";
import { mountOverlay, whyNoOverlay } from "../support/overlay_file_system.ts";

const CAPABILITY = "\u0001\0\0\u0002\0\u0004\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/** Owners, modes and objects that no ordinary user can make. */
const BASE = layerTar([
  dir("etc", { mode: 0o755 }),
  file("etc/shadow", "secret", { mode: 0, uid: 0, gid: 42 }),
  dir("home/ada", { mode: 0o700, uid: 1000, gid: 1000 }),
  file("home/ada/notes", "a", { mode: 0o600, uid: 1000, gid: 1000 }),
  file("bin/su", "su", { mode: 0o4755, uid: 7 }),
  file("bin/ping", "ping", { xattrs: xattrs({ "security.capability": CAPABILITY, "trusted.x": "y" }) }),
  device("dev/null", { type: "char", devMajor: 1, devMinor: 3 }),
  hardlink("bin/link", "bin/su"),
  symlink("bin/ada", "../home/ada", { uid: 1000 }),
]);

const SETUPS: readonly { readonly ids: Subordinates; readonly needs: InteropOptions; readonly owner: string }[] = [
  { ids: "none", needs: WITH_USER, owner: "0:0" },
  {
    ids: "65536",
    needs: WITH_SUBORDINATE_IDS,
    owner: "1000:1000",
  },
];

describe("a store of an ordinary user", WITH_USER, () => {
  for (const { ids, needs, owner } of SETUPS) {
    it(
      `keeps layers as overlays and gives them back byte for byte, with subordinate ids: ${ids}`,
      needs,
      async () => {
        using user = new OrdinaryUser(ids);
        const strata = (...args: string[]) => user.ok(user.strata(...args));
        const registered = await user.run(user.strata("register", "--name", "base"), { stdin: BASE });
        assert.equal(registered.code, 0, registered.stderr);
        assert.match(registered.stderr, /^warning: \d+ attributes could not be set here \(first: .*exports hold them/m);
        assert.match(await strata("info"), /^Driver: +overlay2$/m);
        await strata("create", "box", "--parent", "base");

        writeFileSync(join(user.home, "work.sh"), script(user));
        const said = await user.ok(user.strata("unshare", "sh", join(user.home, "work.sh")));
        const changes = ["C /etc", "A /etc/new", "C /home", "C /home/ada", "C /home/ada/notes"];
        assert.deepEqual(said.split("\n"), [`${owner} 600`, "a", ...changes]);

        assert.equal(await strata("mounts", "--quiet"), "");
        await strata("commit", "box", "--name", "change");
        assert.equal(digestOf((await user.run(user.strata("export", "base"))).stdout), digestOf(BASE));
        const { droppedAttributes, dropped } = JSON.parse(await strata("inspect", "base"))[0];
        assert.equal(dropped.length, droppedAttributes);
        const listed: string[] = dropped.map(({ entry, attribute }: DroppedAttribute) => `${attribute} of ${entry}`);
        assert.ok(listed.includes("char of dev/null"), listed.join());
        assert.equal(listed.includes("owner 1000:1000 of home/ada/notes"), ids === "none", listed.join());
        await strata("verify");
        await strata("rm", "box", "change", "base");
        assert.equal(await strata("layers", "--quiet"), "");
      },
    );
  }
});

describe("a store of an ordinary user on overlayfs", unlessMissing(whyNoProgram()), () => {
  it("is mounted by fuse-overlayfs, in the user's namespace", async (t) => {
    using overlay = mountOverlay();
    using user = new OrdinaryUser("none", { dir: overlay.path, fuse: "open" });
    const { code } = await user.run(["sh", "-c", "exec 3<>/dev/fuse"]);
    if (code !== 0) return t.skip("devices cannot be opened below the directory for temporary files");
    const strata = (...args: string[]) => user.ok(user.strata(...args));
    await user.ok(user.strata("register", "--name", "base"), { stdin: BASE });
    const top = layerTar([whiteout("home"), dir("bin"), opaque("bin"), file("bin/new", "n")]);
    await user.ok(user.strata("register", "--name", "top", "--parent", "base"), { stdin: top });
    const info = await strata("info");
    assert.match(info, /^Driver: +overlay2$/m);
    assert.match(info, /^Mount Program: +\/.*fuse-overlayfs$/m);
    await strata("create", "box", "--parent", "top");
    writeFileSync(join(user.home, "work.sh"), onOverlay(user));
    const said = await user.ok(user.strata("unshare", "sh", join(user.home, "work.sh")));
    assert.deepEqual(said.split("\n"), ["bin", "dev", "etc", "new", "C /etc", "D /etc/shadow"]);
    assert.equal(digestOf((await user.run(user.strata("export", "top"))).stdout), digestOf(top));
    await strata("rm", "box", "top", "base");
  });
});

describe("a writable layer that is mounted in a user namespace", WITH_USER, () => {
  it("cannot be removed or mounted outside of it until the namespace ends", WITH_USER, async () => {
    using user = new OrdinaryUser();
    await user.ok(user.strata("create", "box", "--driver", "overlay2"));
    const inside = user.spawn(
      user.strata("unshare", "sh", "-c", `${quoted(user.strata("mount", "box"))} && read -r _`),
    );
    await new Promise((resolve) => inside.stdout?.once("data", resolve));
    for (const command of [["rm", "box", "--force"], ["unmount", "box"], ["unshare", ...user.strata("mount", "box")]]) {
      const { code, stderr } = await user.run(user.strata(...command));
      assert.equal(code, EXIT.conflict, `${command[0]}: ${stderr}`);
      assert.match(stderr, new RegExp(`in the user namespace of process ${inside.pid}`));
    }
    const ended = new Promise((resolve) => inside.once("close", resolve));
    inside.stdin?.end("\n");
    await ended;
    await user.ok(user.strata("rm", "box"));
  });
});

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

/** Works in the mounted tree, in one namespace. */
function script(user: OrdinaryUser): string {
  const strata = quoted(user.strata());
  return `set -e
tree=$(${strata} mount box)
stat -c '%u:%g %a' "$tree/home/ada/notes"
cat "$tree/home/ada/notes"
echo
echo more >> "$tree/home/ada/notes"
echo new > "$tree/etc/new"
${strata} changes box
`;
}

function onOverlay(user: OrdinaryUser): string {
  const strata = quoted(user.strata());
  return `set -e
tree=$(${strata} mount box)
ls "$tree" "$tree/bin" | grep '^[a-z]'
rm "$tree/etc/shadow"
${strata} changes box
${strata} unmount box >&2
`;
}

/** The device for FUSE is opened to the user by root. */
function whyNoProgram(): string | undefined {
  if (WITH_USER.skip !== false) return WITH_USER.skip;
  if (findMountProgram() === undefined) return "fuse-overlayfs is not installed, or /dev/fuse is not there";
  return whyNoOverlay();
}

function xattrs(values: Readonly<Record<string, string>>): Map<ByteString, Uint8Array> {
  const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
  return new Map(Object.entries(values).map(([name, value]) => [fromText(name), bytes(value)]));
}
