/** Makes `dist/`, which is what the package ships: minified modules, and the types that their comments say. */

import { execFileSync } from "node:child_process";
import { copyFile, readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

/** The modules of `src` whose types the entries name. */
const TYPES = ["index", "watch", "money", "types", "react", "element"];

await rm(here("dist"), { recursive: true, force: true });
const common = /** @type {const} */ ({ outdir: here("dist"), format: "esm", target: "es2022", minify: true });
await build({ ...common, entryPoints: [here("src/index.js")], bundle: true });
// Not bundled: they import the one `index.js` that the page has already.
await build({ ...common, entryPoints: [here("src/react.js"), here("src/element.js")] });

execFileSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "-p", here("tsconfig.types.json")], { stdio: "inherit" });
for (const name of await readdir(here("dist"))) {
  if (name.endsWith(".d.ts") && !TYPES.includes(name.replace(".d.ts", ""))) await rm(here(`dist/${name}`));
}
for (const name of ["LICENSE-APACHE", "LICENSE-MIT"]) await copyFile(here(`../../${name}`), here(name));
