// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { hasCode } from "../../src/core/errors.ts";
import { CHUNK_BYTES } from "../../src/core/limits.ts";
import { ChunkSender, chunksFrom, stopChunks } from "../../src/worker/chunk_channel.ts";

/** Buffers that may be out at once. */
const WINDOW = 8;

describe("a chunk channel", () => {
  it("gives the bytes in order, whatever the sizes of the chunks", async () => {
    const { sender, port } = channel();
    const sent = Uint8Array.from({ length: 3 * CHUNK_BYTES + 12_345 }, (_, index) => index * 7 + (index >> 12));
    const sending = sendInPieces(sender, sent, [1, 511, CHUNK_BYTES + 3, 77_777]);
    assert.deepEqual(await gather(port), sent);
    await sending;
  });

  it("sends as many chunks as there is room for, and waits then", async () => {
    const { sender, port } = channel();
    for (let index = 0; index < WINDOW; index++) await sender.send(chunkOf(index));
    let sent = false;
    const further = sender.send(chunkOf(WINDOW)).then(() => sent = true);
    await turns();
    assert.equal(sent, false);
    const chunks = chunksFrom(port);
    assert.equal((await chunks.next()).value?.[0], 0);
    await turns();
    assert.equal(sent, false, "the first chunk is still the receiver's");
    assert.equal((await chunks.next()).value?.[0], 1);
    await further;
    sender.end();
    for (let index = 2; index <= WINDOW; index++) assert.equal((await chunks.next()).value?.[0], index);
    assert.equal((await chunks.next()).done, true);
    stopChunks(port);
  });

  it("passes far more than there is room for at once", async () => {
    const { sender, port } = channel();
    const sending = (async () => {
      for (let index = 0; index < 40; index++) await sender.send(chunkOf(index));
      sender.end();
    })();
    let count = 0;
    for await (const chunk of chunksFrom(port)) assert.equal(chunk[0], count++);
    await sending;
    assert.equal(count, 40);
    stopChunks(port);
  });

  it("gathers small chunks", async () => {
    const { sender, port } = channel();
    for (let index = 0; index < 1500; index++) await sender.send(new Uint8Array(1024));
    sender.end();
    const lengths: number[] = [];
    for await (const chunk of chunksFrom(port)) lengths.push(chunk.length);
    assert.deepEqual(lengths, [CHUNK_BYTES, 1500 * 1024 - CHUNK_BYTES]);
    stopChunks(port);
  });

  it("sends nothing for nothing", async () => {
    const { sender, port } = channel();
    await sender.send(new Uint8Array(0));
    sender.end();
    assert.deepEqual(await gather(port), new Uint8Array(0));
  });

  it("leaves the sender its chunk", async () => {
    const { sender, port } = channel();
    const chunk = chunkOf(1);
    await sender.send(chunk);
    chunk.fill(2);
    sender.end();
    assert.equal((await gather(port))[0], 1);
    assert.equal(chunk.length, CHUNK_BYTES);
  });

  it("brings the sender's error after the chunks before it", async () => {
    const { sender, port } = channel();
    await sender.send(chunkOf(1));
    sender.fail(new RangeError("it broke"));
    const chunks = chunksFrom(port);
    assert.equal((await chunks.next()).value?.[0], 1);
    await assert.rejects(chunks.next(), { name: "RangeError", message: "it broke" });
    stopChunks(port);
  });

  it("tells a waiting sender that the receiver has stopped", async () => {
    const { sender, port } = channel();
    for (let index = 0; index < WINDOW; index++) await sender.send(chunkOf(index));
    const waiting = sender.send(chunkOf(WINDOW));
    const chunks = chunksFrom(port);
    await chunks.next();
    stopChunks(port);
    await assert.rejects(waiting, isAborted);
    await assert.rejects(sender.send(chunkOf(9)), isAborted);
  });

  it("tells the receiver that the sender is gone", async () => {
    const { port, far } = channel();
    const next = chunksFrom(port).next();
    far.close();
    await assert.rejects(next, isAborted);
  });

  it("tells a waiting sender that the receiver is gone", async () => {
    const { sender, port } = channel();
    for (let index = 0; index < WINDOW; index++) await sender.send(chunkOf(index));
    const waiting = sender.send(chunkOf(WINDOW));
    port.close();
    await assert.rejects(waiting, isAborted);
  });
});

function channel(): { sender: ChunkSender; port: MessagePort; far: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  return { sender: new ChunkSender(port1), port: port2, far: port1 };
}

function chunkOf(value: number): Uint8Array {
  return new Uint8Array(CHUNK_BYTES).fill(value);
}

async function sendInPieces(sender: ChunkSender, bytes: Uint8Array, sizes: readonly number[]): Promise<void> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    await sender.send(bytes.subarray(at, at + size));
    at += size;
  }
  sender.end();
}

async function gather(port: MessagePort): Promise<Uint8Array> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of chunksFrom(port)) chunks.push(chunk.slice());
  stopChunks(port);
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Long enough for messages that are under way to arrive. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

function isAborted(error: unknown): boolean {
  return hasCode(error, "ABORTED");
}
