// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { EXIT } from "../../src/cli/exit_codes.ts";
import { needsPrograms } from "../support/interop.ts";
import { OrdinaryUser, type Subordinates, WITH_SUBORDINATE_IDS, WITH_USER } from "../support/ordinary_user.ts";
import { CliStore, spawnCli } from "../support/run_cli.ts";

/** How the map comes about differs, and with it what lies between the terminal and the command. */
const USERS: readonly Subordinates[] = WITH_SUBORDINATE_IDS.skip === false ? ["none", "65536"] : ["none"];

/** Options of tests that need a terminal. */
const WITH_TERMINAL = WITH_USER.skip === false ? needsPrograms("script") : WITH_USER;

/** Not one long sleep: a signal that comes while a shell starts a program is heard when that has ended. */
const FOREVER = "while :; do sleep 0.2; done";

describe("strata unshare", WITH_USER, () => {
  it("hands streams through, and gives the command's exit code", async () => {
    using user = new OrdinaryUser();
    const command = user.strata("unshare", "sh", "-c", "cat; echo said >&2; exit 9");
    const { code, stdout, stderr } = await user.run(command, { stdin: new TextEncoder().encode("in") });
    assert.deepEqual([code, new TextDecoder().decode(stdout), stderr], [9, "in", "said\n"]);
  });

  it("leaves the command its options, and runs $SHELL without one", async () => {
    using user = new OrdinaryUser();
    assert.equal(await user.ok(user.strata("unshare", "id", "-u", "--real")), "0");
    assert.match(await user.ok(user.strata("unshare"), { env: { SHELL: "/usr/bin/id" } }), /^uid=0/);
  });

  it("names the store to all that runs inside", async () => {
    using user = new OrdinaryUser();
    const named = await user.ok(user.strata("unshare", "--root", "/r", "--run-root=/s", "--driver", "vfs", "env"));
    for (const line of ["STRATA_ROOT=/r", "STRATA_RUN_ROOT=/s", "STRATA_DRIVER=vfs"]) {
      assert.ok(named.split("\n").includes(line), line);
    }
    const byDefault = await user.ok(user.strata("unshare", "env"), { env: { XDG_RUNTIME_DIR: "/run/u" } });
    assert.match(byDefault, new RegExp(`^STRATA_ROOT=${user.home}/.local/share/strata$`, "m"));
    assert.match(byDefault, /^STRATA_RUN_ROOT=\/run\/u\/strata$/m);
  });

  it("passes signals on, and ends as the command does", async () => {
    using user = new OrdinaryUser();
    const script = `trap 'echo caught; exit 4' TERM; echo "$PPID"; sleep 60 >&- 2>&- & wait`;
    const child = user.spawn(user.strata("unshare", "sh", "-c", script));
    let said = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (said === "") process.kill(Number(text), "SIGTERM");
      said += text;
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    assert.deepEqual([code, said.split("\n").slice(1)], [4, ["caught", ""]]);
  });

  it("ends what is inside when it is killed itself", async () => {
    for (const ids of USERS) {
      using user = new OrdinaryUser(ids);
      const script = 'echo "$PPID"; for i in $(seq 50); do sleep 0.2; done; touch survived';
      const child = user.spawn(user.strata("unshare", "sh", "-c", script));
      // The standard streams are closed when the command inside has ended, too.
      const closed = new Promise((resolve) => child.once("close", (_, signal) => resolve(signal)));
      child.stdout?.setEncoding("utf8").once("data", (pid: string) => process.kill(Number(pid), "SIGKILL"));
      assert.equal(await closed, "SIGKILL");
      assert.equal(existsSync(join(user.home, "survived")), false);
    }
  });

  it("is entered by commands also where the environment speaks of a namespace that they are not in", async () => {
    using user = new OrdinaryUser();
    const command = user.strata("--driver", "overlay2", "layers", "--quiet");
    assert.equal(await user.ok(command, { env: { STRATA_USER_NAMESPACE: "1-1" } }), "");
  });

  it("says which switch is off, and how to set it", WITH_SUBORDINATE_IDS, async () => {
    using user = new OrdinaryUser("65536");
    const inner = ["setpriv", "--reuid=5", "--", ...user.strata("unshare", "true")];
    const script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
    const { code, stderr } = await user.run(user.strata("unshare", "sh", "-c", script, "sh", ...inner));
    assert.equal(code, EXIT.unsupported, stderr);
    assert.match(
      stderr,
      /Cannot enter a user namespace: this machine allows no user namespaces; as root, run "sysctl -w/,
    );
  });

  it("says what to install when subordinate ids cannot be used", WITH_SUBORDINATE_IDS, async () => {
    using user = new OrdinaryUser("65536");
    const bin = join(user.home, "bin");
    mkdirSync(bin);
    for (const name of ["sh", "mount", "setpriv", "unshare"]) symlinkSync(whereIs(name), join(bin, name));
    const command = ["env", `PATH=${bin}`, ...user.strata("unshare", "true")];
    const { code, stderr } = await user.run(command);
    assert.equal(code, EXIT.unsupported, stderr);
    assert.match(stderr, /has subordinate ids, and "newuidmap" is not in PATH to use them; install it/);
  });

  it("ends with 127 when there is no such command", async () => {
    using user = new OrdinaryUser();
    assert.equal((await user.run(user.strata("unshare", "strata-has-no-such-command"))).code, 127);
  });
});

describe("strata unshare on a terminal", WITH_TERMINAL, () => {
  it("gives the command the terminal, and its size and exit code come through", async () => {
    for (const ids of USERS) {
      using user = new OrdinaryUser(ids);
      const script = "test -t 0 && test -t 1 && test -t 2 && stty rows 7 columns 9 && stty size; exit 6";
      assert.deepEqual(await onTerminal(user, user.strata("unshare", "sh", "-c", script)), {
        code: 6,
        said: "7 9\r\n",
      });
    }
  });

  it("ends with 130 when Ctrl-C ends the command", async () => {
    for (const ids of USERS) {
      using user = new OrdinaryUser(ids);
      const command = user.strata("unshare", "sh", "-c", `echo ready; ${FOREVER}`);
      assert.deepEqual(await onTerminal(user, command, "\x03"), { code: 130, said: "ready\r\n^C" });
    }
  });

  it("leaves Ctrl-C to the command, and waits for it", async () => {
    for (const ids of USERS) {
      using user = new OrdinaryUser(ids);
      const script = `trap 'sleep 1; echo done; exit 5' INT; echo ready; ${FOREVER}`;
      const outcome = await onTerminal(user, user.strata("unshare", "sh", "-c", script), "\x03");
      assert.deepEqual(outcome, { code: 5, said: "ready\r\n^Cdone\r\n" });
    }
  });
});

describe("strata mount of an ordinary user", WITH_USER, () => {
  it("is refused outside of a namespace, with a hint, where overlays are to be mounted", async () => {
    using user = new OrdinaryUser();
    const { code, stderr } = await user.run(user.strata("mount", "work", "--driver", "overlay2"));
    assert.equal(code, EXIT.unsupported);
    assert.match(stderr, /^error: Cannot mount here: .*\nhint: Run "strata unshare" first/);
  });

  it("needs no namespace where nothing is mounted", async () => {
    using user = new OrdinaryUser();
    const { code, stderr } = await user.run(user.strata("mount", "work", "--driver", "vfs"));
    assert.equal(code, EXIT.notFound, stderr);
  });
});

describe("strata unshare of root", { skip: process.geteuid?.() !== 0 && "needs root" }, () => {
  it("just runs the command", async () => {
    using store = new CliStore();
    const child = spawnCli(
      ["unshare", "sh", "-c", 'readlink /proc/self/ns/user; echo "$STRATA_ROOT"; exit 6'],
      store.env,
    );
    let stdout = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => stdout += text);
    const code = await new Promise((resolve) => child.once("close", resolve));
    const own = spawnSync("readlink", ["/proc/self/ns/user"], { encoding: "utf8" }).stdout;
    assert.deepEqual([code, stdout], [6, `${own}${store.path("root")}\n`]);
  });
});

/** Runs a command on a terminal of its own, where `keys` are pressed as soon as it prints something. */
async function onTerminal(user: OrdinaryUser, command: readonly string[], keys = ""): Promise<OnTerminal> {
  // The shell that script(1) starts would take Ctrl-C for its own end, too.
  const line = `exec ${command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")}`;
  const child = user.spawn(["script", "-qec", line, "/dev/null"], { env: { SHELL: "/bin/sh" } });
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    if (said === "") child.stdin?.write(keys);
    said += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, said };
}

interface OnTerminal {
  readonly code: number | null;
  readonly said: string;
}

function whereIs(program: string): string {
  return spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim();
}
