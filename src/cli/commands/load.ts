// SPDX-License-Identifier: Apache-2.0
/**
 * `strata load`.
 *
 * @module
 */
import type { LoadedImage, LoadProgress } from "../../../mod.ts";
import { openStandardInput } from "../archives.ts";
import type { CommandSpec } from "../command.ts";
import { warnOfDropped } from "../dropped.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import type { Progress } from "../progress.ts";
import { loadStrata } from "../strata.ts";

/** Loads images. */
export const load: CommandSpec = {
  name: "load",
  summary: "Load the images of an archive or a layout directory, and print their names",
  description:
    "A docker-archive, an OCI archive or an OCI layout, found by what is in it. Layers that are here already are\n" +
    "skipped unread. The platform is by default DOCKER_DEFAULT_PLATFORM, or this machine's.",
  arguments: [{ name: "PATH", summary: `an archive or a directory; "-" is standard input`, count: "one" }],
  options: [
    { name: "name", value: "NAME", summary: "the image's name, in place of the archive's own" },
    { name: "platform", value: "OS/ARCH", summary: "which image, where there are several" },
  ],
  examples: [
    { line: "docker save debian | strata load -", does: "from Docker" },
    { line: "strata load ./layout --name debian --platform linux/arm64", does: "from an OCI layout" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, io, log, output, signal } = invocation;
  const { ImageStore } = await loadStrata();
  const path = input.word("PATH");
  const source = path === "-"
    ? { kind: "stream", stream: openStandardInput(io) } as const
    : { kind: "path", path } as const;
  await using store = await invocation.openStore();
  await using progress = await invocation.progress({ operation: "load" });
  const name = input.text("name");
  const platform = input.text("platform") ?? (io.env["DOCKER_DEFAULT_PLATFORM"] || undefined);
  const images = await new ImageStore(store).load(source, {
    ...(name === undefined ? {} : { name }),
    ...(platform === undefined ? {} : { platform }),
    signal,
    onProgress: follow(progress),
  });
  await progress.succeed();
  for (const note of images.flatMap(({ notes }) => notes)) await log.notice("info", note);
  await warnOfDropped(log, {
    count: images.reduce((sum, { droppedAttributes }) => sum + droppedAttributes, 0),
    listed: images.flatMap(({ dropped }) => dropped),
  });
  await output.lines({ key: "images", items: images, line: (image) => lineOf(image), document: documentOf });
}

/** Layers come to be known one by one; each brings its bytes to the total. */
function follow(progress: Progress): (report: LoadProgress) => void {
  const seen = new Set<string>();
  return ({ diffId, bytes, totalBytes }) => {
    if (!seen.has(diffId)) progress.expect(totalBytes);
    seen.add(diffId);
    progress.add(bytes);
  };
}

function lineOf({ imageId, names }: LoadedImage): string {
  return names.length === 0 ? imageId : names.join("\n");
}

function documentOf({ imageId, names, chainId, platform, layers, droppedAttributes }: LoadedImage): object {
  return { id: imageId, names, chainId: chainId ?? null, platform, layers, droppedAttributes };
}
