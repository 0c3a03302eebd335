/**
 * The page "A shop in ten minutes", word by word: its files are saved, its commands are typed into one shell, and a browser looks at the
 * shop. Only the build is not repeated: the program under test stands on the path. Free ports stand in place of those in the page.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { BINARY, freePort, launch, until } from "./support.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The build, which was made before. */
const BUILD = [/^cargo build --release.*$/m, /^npm ci --prefix clients\/js.*$/m, /^export PATH=.*$/m];

/** The page's steps in their order: files to save, and commands. @param {string} text */
function steps(text) {
  const [tutorial = ""] = text.split("\n## From here to Stripe");
  const found = [...tutorial.matchAll(/(?:Save this as `([^`]+)`:\n\n)?```(\w+)\n(.*?)```/gs)];
  return found.map(([, file, language, content = ""]) => {
    assert(file ? language !== "sh" : language === "sh", `a block is neither a file nor typed: ${content}`);
    return { file, content };
  });
}

/** A shell into which lines are typed. */
class Shell {
  #process;
  #said = "";

  /** @param {string} folder @param {Record<string, string>} environment */
  constructor(folder, environment) {
    // Job control, since the page stops its programs by their numbers; a group of its own, so that all of it can be ended.
    this.#process = spawn("bash", ["--norc", "--noprofile", "-m"], { cwd: folder, detached: true, env: { ...process.env, ...environment } });
    for (const stream of [this.#process.stdout, this.#process.stderr]) stream.on("data", (data) => (this.#said += data));
  }

  /** Types lines and waits until they have run; programs in the background go on. @param {string} lines */
  async type(lines) {
    const mark = `done-${Math.random()}`;
    this.#process.stdin.write(`set -e\n${lines}\nset +e\necho ${mark}\n`);
    await until(`these lines have run: ${lines}\n${this.#said}`, () => this.#said.includes(mark) || this.#process.exitCode !== null);
    assert(this.#said.includes(mark), `${lines}\n${this.#said}`);
  }

  get said() {
    return this.#said;
  }

  async end() {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.stdin.end("kill $(jobs -p) 2>/dev/null; wait\n");
    await ended;
  }
}

test("whoever follows the page ends with a captured payment", async (t) => {
  const [open, admin, shop] = [await freePort(), await freePort(), await freePort()];
  const page = await readFile(join(ROOT, "docs/src/shop.md"), "utf8");
  const home = await mkdtemp(join(tmpdir(), "paystream-shop-"));
  const bin = await mkdtemp(join(tmpdir(), "paystream-bin-"));
  await symlink(BINARY, join(bin, "paystream"));
  const shell = new Shell(ROOT, {
    HOME: home,
    PATH: `${bin}:${process.env.PATH}`,
    npm_config_cache: process.env.npm_config_cache ?? join(process.env.HOME ?? tmpdir(), ".npm"),
    PAYSTREAM__LISTEN__ADMIN: `127.0.0.1:${admin}`,
  });
  const browser = await launch();
  t.after(async () => {
    t.diagnostic(shell.said);
    await browser.close();
    await shell.end();
    await Promise.all([home, bin].map((folder) => rm(folder, { recursive: true })));
  });
  const here = (/** @type {string} */ text) =>
    text.replaceAll("127.0.0.1:8080", `127.0.0.1:${open}`).replaceAll("127.0.0.1:3000", `127.0.0.1:${shop}`).replace("listen(3000,", `listen(${shop},`);

  const visitor = await browser.newPage();
  const shown = () => visitor.locator("h1").innerText();
  const isUp = (/** @type {string} */ url) => fetch(url).then(() => true, () => false);
  const all = steps(page);
  assert.equal(all.filter(({ file }) => file).length, 3);
  for (const { file, content } of all) {
    if (file) {
      await writeFile(join(home, "shop", file), here(content));
      continue;
    }
    const lines = BUILD.reduce((lines, built) => lines.replace(built, ""), here(content));
    if (lines.includes("paystream trigger")) {
      await until("the shop is up", () => isUp(`http://127.0.0.1:${shop}`));
      await until("the gateway is up", () => isUp(`http://127.0.0.1:${open}`));
      await visitor.goto(`http://127.0.0.1:${shop}`);
      await until("the page says unknown", async () => (await shown()).includes("unknown"));
    }
    await shell.type(lines);
    if (lines.includes("paystream trigger")) {
      await until("the page says captured", async () => (await shown()) === "Your payment: captured €42.00");
    }
  }
  await until("both programs have ended", async () => !(await isUp(`http://127.0.0.1:${shop}`)) && !(await isUp(`http://127.0.0.1:${open}`)));
});
