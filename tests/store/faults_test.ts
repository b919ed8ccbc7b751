// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode, LayerStore, parseChainId } from "../../mod.ts";
import { takeIn } from "../../src/store/take_in.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { Child, type ChildOrder } from "../support/child.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const SMALL = layerTar([dir("etc"), file("etc/motd", "hello\n")]);
const OTHER = layerTar([file("other", "small, too\n")]);
const DISK_MB = 24;
const LARGE = layerTar([file("first", "1\n"), file("large", randomBytes(DISK_MB * 1024 * 1024)), file("last", "2\n")]);
const MANY = layerTar(Array.from({ length: 3000 }, (_, index) => file(`d${index % 50}/f${index}`, `${index}\n`)));
const isRoot = process.getuid?.() === 0;
const needsRoot = { skip: isRoot ? false : "mounting a small file system takes root" };

/** A root on a file system of its own, that is soon full. */
class SmallDisk implements Disposable {
  readonly scratch = new ScratchRoot();

  constructor(options = "") {
    mkdirSync(this.scratch.root);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${DISK_MB}m,mode=0711${options}`, "tmpfs", this.scratch.root]);
  }

  /** Leaves less room than one page. */
  fill(): void {
    writeFileSync(join(this.scratch.root, "ballast"), new Uint8Array(this.#freeBytes()));
    assert.equal(this.#freeBytes(), 0);
  }

  makeReadOnly(): void {
    execFileSync("mount", ["-o", "remount,ro", this.scratch.root]);
  }

  makeRoom(): void {
    rmSync(join(this.scratch.root, "ballast"));
  }

  [Symbol.dispose](): void {
    execFileSync("umount", ["-l", this.scratch.root]);
    this.scratch[Symbol.dispose]();
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.scratch.root);
    return bavail * bsize;
  }
}

for (const driver of DRIVERS) {
  describe(`a full disk on ${driver}`, needsRoot, () => {
    for (
      const [what, bytes, options] of [
        ["a file that is too large", LARGE, ""],
        ["more files than there are inodes", MANY, ",nr_inodes=600"],
      ] as const
    ) {
      it(`refuses ${what}, says what to do, and harms nothing`, async () => {
        using disk = new SmallDisk(options);
        const { scratch } = disk;
        await using store = await scratch.open({ driver });
        const { chainId } = await store.register(streamOf(SMALL));
        for (const parent of [undefined, chainId]) {
          const registering = store.register(streamOf(bytes), parent === undefined ? {} : { parent });
          await assert.rejects(registering, (error) => isNoSpace(error, scratch.root));
        }
        assert.equal((await store.verify(chainId)).state, "ok");
        assert.deepEqual([store.layers().layers.size, store.layers().broken], [1, []]);
        assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver).length], [[], 1]);
        const other = await store.register(streamOf(OTHER));
        assert.deepEqual(await bytesOf(store.export(other.chainId)), OTHER);
      });
    }

    it("refuses everything that needs room, and lets layers be removed all the same", async () => {
      using disk = new SmallDisk();
      const { scratch } = disk;
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(SMALL));
      const named = await store.register(streamOf(OTHER));
      const record = await store.catalog.add(named.chainId, { names: ["other"] });
      await store.createRWLayer("rw", { parent: layer.chainId });
      disk.fill();
      const refused = (error: unknown) => isNoSpace(error, scratch.root);
      await assert.rejects(store.register(streamOf(MANY)), refused);
      await assert.rejects(store.createRWLayer("rw2", { parent: layer.chainId }), refused);
      await assert.rejects(store.catalog.add(layer.chainId, { names: ["base"] }), refused);
      await assert.rejects(store.applyDiff("rw", streamOf(MANY)), refused);
      assert.deepEqual(store.catalog.list().records.map(({ names }) => names), [["other"]]);
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      await using other = await scratch.open({ driver });
      assert.deepEqual(await bytesOf(other.export(layer.chainId)), SMALL);
      await store.release(named);
      assert.equal((await store.catalog.delete(record.id)).length, 1);
      await store.release(layer);
      assert.equal((await store.releaseRWLayer("rw")).length, 1);
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
      disk.makeRoom();
      await store.register(streamOf(SMALL));
    });
  });

  describe(`a killed process on ${driver}`, () => {
    it("leaves a staging directory at most, and every layer whole", async () => {
      using scratch = new ScratchRoot();
      const before = await registerOnce(scratch, driver, SMALL);
      // The first die while they unpack many files; the others, at some moment of registering one small layer after another.
      const deaths = [[5000, 5], [5000, 120], [1, 0], [1, 7], [1, 23], [2, 41], [1, 64], [3, 90]] as const;
      const registered: string[] = [before];
      for (const [index, [fileCount, delayMs]] of deaths.entries()) {
        registered.push(...await killAfter(orderFor(scratch, { driver, fileCount }), delayMs));
        await using store = await scratch.open({ driver, lockTimeoutMs: 1000 });
        const { layers, broken, findings } = store.layers();
        assert.deepEqual([broken, findings], [[], []]);
        for (const chainId of registered) assert(layers.has(parseChainId(chainId)), chainId);
        for (const { cacheId } of layers.values()) assert(scratch.layerDirs(driver).includes(cacheId), cacheId);
        const garbage = scratch.layerDirs(driver).length - layers.size;
        assert(
          scratch.leftovers().length + garbage <= index + 1,
          `${scratch.leftovers()}, and ${garbage} of the driver`,
        );
      }
      await using store = await scratch.open({ driver });
      for (const chainId of store.layers().layers.keys()) assert.equal((await store.verify(chainId)).state, "ok");
      assert.equal(String((await store.register(streamOf(SMALL))).chainId), before);
    });

    it("holds nothing any more", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(SMALL));
      await using child = new Child({ ...orderFor(scratch, { driver }), task: "hold", chainId: layer.chainId });
      assert.deepEqual(await child.firstWord(), { type: "held", chainId: layer.chainId });
      assert.equal((await child.kill()).signal, "SIGKILL");
      assert.equal((await store.release(layer)).length, 1);
    });
  });

  describe(`other faults on ${driver}`, () => {
    it("refuses to write where it may not, and says what to do", async () => {
      using place = isRoot ? new SmallDisk() : undefined;
      using own = isRoot ? undefined : new ScratchRoot();
      const scratch = place?.scratch ?? own!;
      const chainId = parseChainId(await registerOnce(scratch, driver, SMALL));
      if (place !== undefined) place.makeReadOnly();
      else chmodSync(join(scratch.root, "strata/tmp"), 0o500);
      await using store = await scratch.open({ driver });
      await assert.rejects(store.register(streamOf(OTHER)), (error) => {
        assert(hasCode(error, "NOT_PERMITTED"), String(error));
        assert(error.message.includes(scratch.root), error.message);
        assert.match(error.message, /; mount it writable/);
        return true;
      });
      assert.equal((await store.verify(chainId)).state, "ok");
      assert.deepEqual(await bytesOf(store.export(chainId)), SMALL);
    });

    it("names the file that it cannot read", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const context = LayerStore.contextOf(store);
      for (const [path, errno] of [[join(scratch.dir, "absent.tar"), "ENOENT"], [scratch.dir, "EISDIR"]] as const) {
        const layers = [{ source: { kind: "file", path } } as const];
        await assert.rejects(takeIn(context, { layers, parent: undefined }, (records) => records), (error) => {
          assert(hasCode(error, "IO"), String(error));
          assert.equal(error.detail.errno, errno);
          assert(error.message.includes(`read "${path}"`), error.message);
          return true;
        });
      }
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
    });

    it("ends what is under way when the store is closed, and leaves nothing", async () => {
      using scratch = new ScratchRoot();
      const store = await scratch.open({ driver });
      const silent = silentAfter(MANY.subarray(0, 1_000_000));
      const registering = assert.rejects(store.register(silent.stream), (error) => hasCode(error, "ABORTED"));
      await silent.reached;
      await store[Symbol.asyncDispose]();
      await registering;
      await silent.cancelled;
      await assert.rejects(store.register(streamOf(SMALL)), (error) => hasCode(error, "ABORTED"));
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
    });

    it("does not wait for a source that is silent once the archive is known to be bad", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const silent = silentAfter(new Uint8Array(2_000_000).fill(65));
      await assert.rejects(store.register(silent.stream), (error) => hasCode(error, "INVALID_ARCHIVE"));
      await silent.cancelled;
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("does not wait for a decoder that has failed, however much the source has", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const gzipThatBreaks = new Uint8Array(40_000_000).fill(0xff);
      gzipThatBreaks.set([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
      await assert.rejects(store.register(streamOf(gzipThatBreaks)), (error) => hasCode(error, "INVALID_ARCHIVE"));
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("works with few open files", async () => {
      using scratch = new ScratchRoot();
      const order = { ...orderFor(scratch, { driver, fileCount: 1000 }), task: "register" } as const;
      await using child = new Child(order, { wrapper: ["prlimit", "--nofile=200"] });
      const { code, stderr } = await child.ended;
      assert.equal(code, 0, stderr);
      assert.deepEqual(child.words.map(({ type }) => type), ["registered"]);
    });
  });
}

function isNoSpace(error: unknown, root: string): boolean {
  assert(hasCode(error, "NO_SPACE"), String(error));
  assert(error.detail.path.startsWith(root), error.detail.path);
  assert(error.message.includes(root), error.message);
  assert.match(error.message, /free space/);
  return true;
}

async function registerOnce(scratch: ScratchRoot, driver: string, bytes: Uint8Array): Promise<string> {
  await using store = await scratch.open({ driver });
  return (await store.register(streamOf(bytes))).chainId;
}

function orderFor(scratch: ScratchRoot, { driver, fileCount = 1 }: { driver: string; fileCount?: number }): ChildOrder {
  return { task: "register-forever", root: scratch.root, runRoot: join(scratch.dir, "run"), driver, fileCount };
}

/** Kills a child some time after it has begun its first layer; returns what it has registered. */
async function killAfter(order: ChildOrder, delayMs: number): Promise<string[]> {
  await using child = new Child(order);
  const staging = join(order.root, "strata/tmp");
  const stagedBefore = existsSync(staging) ? namesIn(staging) : 0;
  while (child.words.length === 0 && namesIn(staging) === stagedBefore) await pause(2);
  await pause(delayMs);
  const { signal, stderr } = await child.kill();
  assert.equal(signal, "SIGKILL", stderr);
  return child.words.flatMap((word) => word.type === "registered" ? word.chainId ?? [] : []);
}

function namesIn(path: string): number {
  return readdirSync(path).length;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A source that gives some bytes and then no more, without an end. */
function silentAfter(bytes: Uint8Array) {
  let reach = (): void => {};
  let cancel = (): void => {};
  const reached = new Promise<void>((resolve) => reach = resolve);
  const cancelled = new Promise<void>((resolve) => cancel = resolve);
  let sent = false;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (!sent) controller.enqueue(bytes);
      else reach();
      if (sent) return new Promise(() => {});
      sent = true;
    },
    cancel: () => cancel(),
  }, { highWaterMark: 0 });
  return { stream, reached, cancelled };
}
