// SPDX-License-Identifier: Apache-2.0
/**
 * First half of `deno task build:npm`: emits the npm package from the one source, and packs it.
 *
 * The work is done by `tsc` in a scratch directory, where npm can install the packages that the types need. The target is
 * ES2022, so that `using` is lowered to what Node 20 runs; the library is ES2023, so that what Node 20 lacks does not
 * compile. It is the version that Deno checks with: 7.0.2 emits `_a` for an object's key that is spelt like the class
 * around it.
 *
 * `esbuild` joins the modules: Node takes 0.7 ms to find, read and link one, and each thread does that again. What is
 * imported dynamically stays apart, and what two entries share is a file that both import, so that there is one of each
 * class in a thread. All files lie in one folder, where the threads' entries are found beside whoever starts them.
 *
 * @module
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  CHECKS,
  type DenoConfig,
  PACKAGE,
  packageNames,
  packageOf,
  pinnedVersion,
  PUBLIC_MODULES,
  readDenoConfig,
  ROOT,
  run,
  ScratchDirectory,
  TARBALL,
} from "./npm_project.ts";
import { importsOf, readSource } from "./source_text.ts";

const SHIPPED = ["src", "mod.ts", "cli.ts"];
/** What is started or imported from outside, and what it is called in the package. */
const ENTRIES = {
  mod: "mod",
  testing: "src/testing/mod",
  cli: "cli",
  thread: "src/worker/thread",
  foreman_thread: "src/worker/foreman_thread",
} as const;
/** The entries that have declarations. */
const PUBLIC = ["mod", "testing"] as const;
const CHECKING = ["tests", "scripts", "bench"];
const DOCUMENTS = ["README.md", "LICENSE", "CHANGELOG.md"];
/** `from "x"`, `import "x"` and `import("x")`, as tsc prints them. */
const SPECIFIER = /((?:\bfrom|\bimport)\s*\(?\s*")([^"\n]+)(")/g;

main();

function main(): void {
  const config = readDenoConfig();
  using scratch = new ScratchDirectory();
  const work = scratch.path;
  installTools(work, config);
  compile(work, config);
  rmSync(join(ROOT, "npm"), { recursive: true, force: true });
  writePackage(work, config);
  writeChecks(join(work, "out"));
  run([join(work, "node_modules/.bin/publint"), PACKAGE, "--strict"], { cwd: work });
  checkTypes(work, config);
  pack();
}

/** Sources and packages side by side, as tsc wants them. */
function installTools(work: string, config: DenoConfig): void {
  for (const path of [...SHIPPED, ...CHECKING]) cpSync(join(ROOT, path), join(work, path), { recursive: true });
  const dependencies = Object.fromEntries(packageNames(config).map((name) => [name, pinnedVersion(config, name)]));
  writeJson(join(work, "package.json"), { private: true, type: "module", dependencies });
  run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: work });
}

/** Two projects, so that only the package has declarations, and the checks are compiled against those. */
function compile(work: string, { compilerOptions }: DenoConfig): void {
  const common = {
    ...compilerOptions,
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    types: ["node"],
    module: "nodenext",
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    rootDir: ".",
    outDir: "out",
  };
  writeJson(join(work, "tsconfig.json"), {
    compilerOptions: { ...common, composite: true, tsBuildInfoFile: "package.tsbuildinfo" },
    include: SHIPPED,
  });
  writeJson(join(work, "tsconfig.checks.json"), {
    compilerOptions: { ...common, tsBuildInfoFile: "checks.tsbuildinfo" },
    include: CHECKING,
    exclude: ["tests/interop"],
    references: [{ path: "tsconfig.json" }],
  });
  run([join(work, "node_modules/.bin/tsc"), "--build", "tsconfig.checks.json"], { cwd: work });
}

function writePackage(work: string, config: DenoConfig): void {
  mkdirSync(PACKAGE, { recursive: true });
  for (const name of DOCUMENTS) if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(PACKAGE, name));
  joinModules(work);
  for (const path of declarationsOf(work)) {
    cpSync(join(work, "out", path), join(PACKAGE, "types", path));
    rewriteExtensions(join(PACKAGE, "types", path));
  }
  const cli = join(PACKAGE, "dist/cli.js");
  writeFileSync(cli, `#!/usr/bin/env node\n${readFileSync(cli, "utf8").replace(/^#!.*\n/, "")}`);
  chmodSync(cli, 0o755);
  writeJson(join(PACKAGE, "package.json"), packageJson(config));
}

function joinModules(work: string): void {
  const entries = Object.entries(ENTRIES).map(([name, path]) => `${name}=out/${path}.js`);
  const format = ["--bundle", "--splitting", "--format=esm", "--platform=node", "--target=node20"];
  const rest = ["--packages=external", "--banner:js=// SPDX-License-Identifier: Apache-2.0", "--log-level=warning"];
  const esbuild = join(work, "node_modules/.bin/esbuild");
  run([esbuild, ...entries, ...format, ...rest, `--outdir=${join(PACKAGE, "dist")}`], { cwd: work });
}

/** The declarations that the public ones stand on; relative to the compiled files. */
function declarationsOf(work: string): Set<string> {
  const found = new Set<string>(PUBLIC.map((name) => `${ENTRIES[name]}.d.ts`));
  for (const path of found) {
    for (const { specifier } of importsOf(readSource(path, readFileSync(join(work, "out", path), "utf8")))) {
      if (specifier.startsWith(".")) found.add(join(dirname(path), specifier.replace(/\.ts$/, ".d.ts")));
    }
  }
  return found;
}

function packageJson(config: DenoConfig): unknown {
  const entry = (name: typeof PUBLIC[number]) => ({
    types: `./types/${ENTRIES[name]}.d.ts`,
    default: `./dist/${name}.js`,
  });
  return {
    name: config.name,
    version: config.version,
    description:
      "Keeps the layers of container file systems: tar in, content-addressed, mounted, and tar out byte for byte",
    license: config.license,
    keywords: ["container", "oci", "docker", "layer", "overlayfs", "tar", "tar-split"],
    type: "module",
    engines: { node: ">=20" },
    os: ["linux"],
    bin: { strata: "./dist/cli.js" },
    exports: { ".": entry("mod"), "./testing": entry("testing"), "./package.json": "./package.json" },
    files: ["dist", "types", "CHANGELOG.md"],
    dependencies: Object.fromEntries(importedPackages().map((name) => [name, `^${pinnedVersion(config, name)}`])),
  };
}

/** What the emitted code really imports, so that tools of the tests do not become dependencies. */
function importedPackages(): string[] {
  const files = [...filesIn(PACKAGE, ".js"), ...filesIn(PACKAGE, ".d.ts")];
  const found = files.flatMap((path) => importsOf(readSource(path, readFileSync(path, "utf8"))));
  const packages = found.filter(({ specifier }) => !/^(?:\.|node:)/.test(specifier));
  return [...new Set(packages.map(({ specifier }) => packageOf(specifier)))].sort();
}

/** tsc rewrites the extensions of imports in code, and leaves those in declarations. */
function rewriteExtensions(path: string): void {
  const rewrite = (_: string, head: string, specifier: string, tail: string) =>
    head + (specifier.startsWith(".") ? specifier.replace(/\.ts$/, ".js") : specifier) + tail;
  writeFileSync(path, readFileSync(path, "utf8").replace(SPECIFIER, rewrite));
}

/**
 * The tests, scripts and benchmarks in JavaScript, beside the files that they read, and the modules that tests reach into.
 * What is public is not among those: it is the package's.
 */
function writeChecks(compiled: string): void {
  for (const folder of CHECKING) {
    cpSync(join(compiled, folder), join(CHECKS, folder), { recursive: true });
    cpSync(join(ROOT, folder), join(CHECKS, folder), {
      recursive: true,
      filter: (path) => !path.endsWith(".ts"),
    });
  }
  cpSync(join(compiled, "src"), join(CHECKS, "src"), { recursive: true, filter: (path) => !path.endsWith(".d.ts") });
  rmSync(join(CHECKS, PUBLIC_MODULES.testing));
}

/** A stranger's program sees every declaration, and all of them stand on what the package brings along. */
function checkTypes(work: string, { name }: DenoConfig): void {
  cpSync(PACKAGE, join(work, "node_modules", name), { recursive: true });
  const imports = [".", "./testing"].map((entry) => `export * from "${name}${entry.slice(1)}";\n`);
  mkdirSync(join(work, "stranger"));
  writeFileSync(join(work, "stranger/main.ts"), imports.join(""));
  writeJson(join(work, "stranger/tsconfig.json"), {
    compilerOptions: { strict: true, module: "nodenext", target: "es2022", types: ["node"], noEmit: true },
  });
  run([join(work, "node_modules/.bin/tsc"), "--project", "stranger"], { cwd: work });
}

function pack(): void {
  run(["npm", "pack", "--silent", "--pack-destination", join(PACKAGE, "..")], { cwd: PACKAGE });
  const [packed = ""] = readdirSync(join(PACKAGE, "..")).filter((name) => name.endsWith(".tgz"));
  cpSync(join(PACKAGE, "..", packed), TARBALL);
  rmSync(join(PACKAGE, "..", packed));
}

function filesIn(directory: string, suffix: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(suffix)).map((path) => join(directory, path));
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);
}
