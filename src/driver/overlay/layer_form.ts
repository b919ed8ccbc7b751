// SPDX-License-Identifier: Apache-2.0
/**
 * In which form a layer's own files are kept, where it is not the kernel's. The layer's file `form` says so, a word a line;
 * Docker ignores it.
 *
 *   program    a mount program has written here, or is to read here: marks can be files (`program_dir.ts`)
 *   override   attributes tell owner, mode and type of every object (`override_dir.ts`)
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { joinPath, type LayerPath, ROOT } from "../../core/layer_path.ts";
import { writeFileAtomic } from "../../host/durable.ts";
import { pathExists, readText, removeTreeAt } from "../../host/files.ts";
import { type OpenRootOptions, RootedDir } from "../../host/rooted_dir.ts";
import { OverrideDir } from "../../changeset/override_dir.ts";
import { WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";
import { diffOf, isOutside } from "./outside/outside_diff.ts";
import { ProgramDir, ProgramFiles } from "./program_dir.ts";
import { currentMarks, markName } from "./whiteouts.ts";

/** Something that sets a layer's files apart. */
export type FormTrait = "program" | "override";

const TRAITS = ["program", "override"] as const;
const OPAQUE_YES = new TextEncoder().encode("y");
const WHITEOUT = { type: "char", mode: 0, major: 0, minor: 0 } as const;
const PROGRAM_XATTR = /^user\.fuseoverlayfs\./;

/** What sets a layer's files apart. */
export function formOf(dir: string): readonly FormTrait[] {
  const words = readText(formPath(dir))?.split("\n") ?? [];
  return TRAITS.filter((trait) => words.includes(trait));
}

/** Whether a layer's files have the trait. */
export function hasForm(dir: string, trait: FormTrait): boolean {
  return formOf(dir).includes(trait);
}

/** Notes a trait, durably: the layer would be misread without. */
export function addForm(dir: string, trait: FormTrait): void {
  const form = formOf(dir);
  if (!form.includes(trait)) writeFileAtomic(formPath(dir), [...form, trait].join("\n"));
}

/** Notes what is noted of another layer, whose files were copied. */
export function copyForm(from: string, to: string): void {
  for (const trait of formOf(from)) addForm(to, trait);
}

/** A layer's own files, in whatever form they are kept, as the kernel's overlayfs would have written them. */
export function openDiff(dir: string, options: OpenRootOptions = {}): RootedDir {
  const form = formOf(dir);
  const diff = diffOf(dir);
  const overrides = form.includes("override") ? "honoured" : "ignored";
  if (form.includes("program")) return ProgramDir.open(diff, { ...options, overrides });
  return overrides === "honoured" ? OverrideDir.open(diff, options) : RootedDir.open(diff, options);
}

/** A layer's own files to change their owners, which are attributes' where these tell them, and else the files' own. */
export function openDiffToChange(dir: string): RootedDir {
  if (hasForm(dir, "override")) return openDiff(dir);
  return hasForm(dir, "program") ? ProgramFiles.open(`${dir}/diff`) : RootedDir.open(`${dir}/diff`);
}

/**
 * Makes what a mount program wrote readable for the kernel, before the kernel mounts it.
 * @throws {StrataError} `NOT_SUPPORTED` for a layer that only a mount program can show
 */
export function useKernelForm(dir: string, access: "read-only" | "writable"): void {
  if (!pathExists(formPath(dir))) return;
  if (hasForm(dir, "override")) {
    if (access === "read-only") return;
    throw new StrataError(
      "NOT_SUPPORTED",
      `Cannot mount "${dir}" for writing: the layer was kept with "force_mask"; use the option "overlay2.mount_program"`,
      { feature: "force_mask without a mount program" },
    );
  }
  if (isOutside(dir)) throw cannotConvert(dir);
  using shown = openDiff(dir);
  using tree = RootedDir.open(`${dir}/diff`);
  new Conversion(shown, tree).dir(ROOT, "merged");
  removeTreeAt(formPath(dir));
}

/** Rewrites marks. */
class Conversion {
  readonly #shown: RootedDir;
  readonly #tree: RootedDir;
  readonly #opaque = markName(currentMarks(), "opaque");

  constructor(shown: RootedDir, tree: RootedDir) {
    this.#shown = shown;
    this.#tree = tree;
  }

  /** Nothing shows from below in a `cut` directory: a whiteout hides nothing there, and the kernel would list it. */
  dir(path: LayerPath, parent: "merged" | "cut"): void {
    const stat = this.#tree.stat(path);
    const isOpaque = path !== ROOT && this.#shown.xattrs(path).has(this.#opaque);
    const state = isOpaque ? "cut" : parent;
    for (const entry of this.#shown.list(path)) {
      const child = joinPath(path, entry.name);
      const type = this.#shown.stat(child)?.type;
      if (type === "dir") this.dir(child, state);
      else if (entry.type === "char" && this.#isWhiteout(child)) this.#whiteout(child, state);
      if (type !== undefined) this.#removeProgramXattrs(child);
    }
    for (const { name } of this.#tree.list(path)) {
      if (name.startsWith(WHITEOUT_PREFIX)) this.#tree.removeTree(joinPath(path, name));
    }
    if (isOpaque) this.#tree.setXattr(path, this.#opaque, OPAQUE_YES);
    if (stat !== undefined) this.#tree.setTimes(path, stat);
  }

  #isWhiteout(path: LayerPath): boolean {
    const stat = this.#shown.stat(path);
    return stat?.type === "char" && stat.rdevMajor === 0 && stat.rdevMinor === 0;
  }

  #whiteout(path: LayerPath, state: "merged" | "cut"): void {
    const isDevice = this.#tree.stat(path) !== undefined;
    if (state === "cut" && isDevice) this.#tree.unlink(path);
    if (state === "merged" && !isDevice) this.#tree.mknod(path, WHITEOUT);
  }

  #removeProgramXattrs(path: LayerPath): void {
    if (this.#tree.stat(path) === undefined) return;
    for (const name of this.#tree.xattrs(path).keys()) {
      if (PROGRAM_XATTR.test(name)) this.#tree.removeXattr(path, name);
    }
  }
}

function cannotConvert(dir: string): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot mount "${dir}": a mount program wrote its files, which lie in another store and are not rewritten; use the ` +
      'option "overlay2.mount_program"',
    { feature: "layers of mount programs in other stores" },
  );
}

function formPath(dir: string): string {
  return `${dir}/form`;
}
