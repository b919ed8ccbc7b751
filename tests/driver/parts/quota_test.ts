// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { LayerQuota, parseLimits, UNLIMITED } from "../../../src/driver/parts/quota.ts";
import { projectIdOf, setProjectId } from "../../../src/host/quota/project_id.ts";
import type { ProjectLimits, ProjectUsage, QuotaState } from "../../../src/host/quota/quota_structs.ts";
import { mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { scratch } from "../../host/scratch.ts";

const LIMITS: ProjectLimits = { bytes: 1024, inodes: 0 };

/** Stands in for the kernel's quotas, which few kernels that run tests have. Project ids are the file system's own. */
class FakeQuotas {
  readonly state: () => QuotaState;
  readonly limits = new Map<number, ProjectLimits>();
  readonly slack = new Map<number, ProjectLimits | undefined>();
  /** Ids that something is charged to, beside the layers. */
  readonly charged = new Set<number>();

  constructor(state: QuotaState) {
    this.state = () => state;
  }

  usage(id: number): ProjectUsage {
    const limits = this.limits.get(id) ?? UNLIMITED;
    return { ...limits, bytesUsed: 0, inodesUsed: this.charged.has(id) ? 1 : 0 };
  }

  limit(id: number, { bytes, inodes }: ProjectLimits, slack?: ProjectLimits): void {
    this.limits.set(id, { bytes, inodes });
    this.slack.set(id, slack);
  }
}

describe("LayerQuota's ids, on xfs", needsLoop("xfs"), () => {
  it("stay with a layer that gets its name where the home hands its own on", () => {
    using home = begin();
    setProjectId(home.path, 500);
    const id = home.limited("making");
    mkdirSync(`${home.path}/making/diff`);
    home.quota.rename(`${home.path}/making`, `${home.path}/made`);
    assert.deepEqual(["made", "made/diff"].map((name) => projectIdOf(`${home.path}/${name}`)), [id, id]);
    home.limited("other");
    assert.throws(() => home.quota.rename(`${home.path}/other`, `${home.path}/made`), /EEXIST/);
  });

  it("count up from the home's own id, and are passed on to what is made below", () => {
    using home = begin();
    setProjectId(home.path, 500);
    const ids = ["a", "b", "c"].map((name) => home.limited(name));
    assert.deepEqual(ids, [501, 502, 503]);
    assert.deepEqual([...home.quotas.limits.keys()], ids);
    mkdirSync(`${home.path}/b/diff`);
    assert.equal(projectIdOf(`${home.path}/b/diff`), 502);
  });

  it("begin at one made of the home's inode number where the home has none", () => {
    using home = begin();
    const { ino } = statSync(home.path);
    assert.equal(home.limited("a"), 10_001 + (ino * 10_000) % (2 ** 32 - 1 - 10_000 - 1));
  });

  it("pass over those of other layers, and those that something else is charged to", () => {
    using home = begin();
    setProjectId(home.path, 500);
    for (const [name, id] of [["docker", 501], ["other", 503]] as const) {
      mkdirSync(`${home.path}/${name}`);
      setProjectId(`${home.path}/${name}`, id);
    }
    home.quotas.charged.add(502).add(504);
    assert.equal(home.limited("a"), 505);
  });

  it("begin again at 1 after the last", () => {
    using home = begin();
    setProjectId(home.path, 0xfffffffe);
    assert.equal(home.limited("a"), 1);
  });

  it("are free again when the layer is gone, and its limits with it", () => {
    using home = begin();
    setProjectId(home.path, 500);
    home.limited("a");
    home.limited("b");
    home.quota.free(`${home.path}/a`);
    assert.deepEqual(home.quotas.limits.get(501), UNLIMITED);
    assert.deepEqual(home.quotas.limits.get(502), LIMITS);
    rmSync(`${home.path}/a`, { recursive: true });
    assert.equal(home.limited("c"), 501);
  });

  it("may be passed a little while a layer is mounted, or noted about", () => {
    using home = begin();
    home.limited("a");
    const [id = 0] = home.quotas.limits.keys();
    {
      using _room = home.quota.relax(`${home.path}/a`);
      assert.deepEqual([home.quotas.usage(id).bytes, home.quotas.slack.get(id)?.bytes], [1024, 16 * 1024 * 1024]);
    }
    assert.deepEqual([home.quotas.usage(id).bytes, home.quotas.slack.get(id)], [1024, undefined]);
    home.quota.relax(home.path)[Symbol.dispose]();
    assert.deepEqual([...home.quotas.limits.keys()], [id], "the home has no limits");
  });

  it("leave layers without limits, the home and what is gone alone", () => {
    using home = begin();
    setProjectId(home.path, 500);
    mkdirSync(`${home.path}/plain`);
    home.quota.limit(`${home.path}/plain`, UNLIMITED);
    for (const name of ["plain", "absent"]) {
      home.quota.free(`${home.path}/${name}`);
      assert.equal(home.quota.usage(`${home.path}/${name}`), undefined);
    }
    assert.equal(projectIdOf(`${home.path}/plain`), 500, "the home's");
    assert.equal(home.quotas.limits.size, 0);
    home.limited("a");
    assert.deepEqual(home.quota.usage(`${home.path}/a`), { ...LIMITS, bytesUsed: 0, inodesUsed: 0 });
  });
});

describe("LayerQuota where limits would not be kept", () => {
  it("refuses them, and touches nothing for none", () => {
    using dir = scratch();
    const quota = new LayerQuota({ home: dir.path, layers: dir.path });
    quota.limit(dir.path, UNLIMITED);
    quota.free(dir.path);
    assert.equal(quota.usage(dir.path), undefined);
    const nowhere = new LayerQuota({ home: "/proc", layers: "/proc" });
    assert.throws(
      () => nowhere.require(LIMITS),
      refusal(/type unknown \(0x9fa0\) has no project quotas; use xfs mounted with/),
    );
  });

  it("says what the file system lacks", needsLoop("xfs"), () => {
    using home = begin("off");
    const xfs =
      /Cannot limit .* xfs has project quotas when it is mounted with "pquota", on a kernel with CONFIG_XFS_QUOTA/;
    assert.throws(() => home.limited("a"), refusal(xfs));
    assert.equal(projectIdOf(`${home.path}/a`), 0);
    using counting = begin("counted");
    assert.throws(() => counting.quota.require(LIMITS), refusal(/counted there, but not enforced/));
    using plain = mountLoop("xfs");
    assert.throws(() => new LayerQuota({ home: plain.path, layers: plain.path }).require(LIMITS), refusal(xfs));
  });

  it("says what ext4 lacks, also when it has quotas but no projects", needsLoop("ext4"), () => {
    using ext4 = mountLoop("ext4", { mkfs: ["-O", "^project,^quota"] });
    const place = { home: ext4.path, layers: ext4.path };
    const needed = /ext4 has project quotas when it is made with "-O quota,project" and mounted with "prjquota"/;
    assert.throws(() => new LayerQuota(place).require(LIMITS), refusal(needed));
    mkdirSync(`${ext4.path}/a`);
    assert.throws(
      () => new LayerQuota(place, new FakeQuotas("enforced")).limit(`${ext4.path}/a`, LIMITS),
      refusal(needed),
    );
  });
});

describe("parseLimits()", () => {
  const defaults = { bytes: 7, inodes: 8 };

  it("reads sizes and inodes, whatever the case of their names, in place of the defaults", () => {
    assert.deepEqual(parseLimits({}, defaults), defaults);
    assert.deepEqual(parseLimits({ size: "10G" }, defaults), { bytes: 10 * 2 ** 30, inodes: 8 });
    assert.deepEqual(parseLimits({ SIZE: "0", Inodes: "100" }, defaults), { bytes: 0, inodes: 100 });
  });

  it("refuses what it does not know", () => {
    const refused = [{ sise: "1g" }, { size: "1x" }, { size: "-1" }, { inodes: "many" }, { inodes: "-1" }, {
      inodes: "1k",
    }];
    for (const options of refused) {
      assert.throws(
        () => parseLimits(Object.fromEntries(Object.entries(options)), defaults),
        (error) => hasCode(error, "INVALID_ARGUMENT"),
        JSON.stringify(options),
      );
    }
  });
});

function begin(state: QuotaState = "enforced") {
  const xfs = mountLoop("xfs");
  const path = `${xfs.path}/home`;
  mkdirSync(path);
  const quotas = new FakeQuotas(state);
  const quota = new LayerQuota({ home: path, layers: path }, quotas);
  return {
    path,
    quota,
    quotas,
    /** Makes a layer with limits; returns its id. */
    limited(name: string): number {
      mkdirSync(`${path}/${name}`);
      quota.limit(`${path}/${name}`, LIMITS);
      return projectIdOf(`${path}/${name}`);
    },
    [Symbol.dispose]: () => xfs[Symbol.dispose](),
  };
}

function refusal(words: RegExp): (error: unknown) => boolean {
  return (error) =>
    hasCode(error, "NOT_SUPPORTED") && error.detail.feature === "project quota" && words.test(error.message);
}
