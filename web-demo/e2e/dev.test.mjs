/** `paystream serve --dev`: the snippet that it prints, in a page that a developer serves on another port. */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { BINARY, until } from "./support.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** What a developer serves pages with. A real one: Chromium asks for permission where a page that it did not load from
 * loopback would speak to loopback. */
const pages = createServer((_, answer) => {
  answer.setHeader("content-type", "text/html").end(`<!doctype html><script type="module">${snippet()}</script>`);
});
/** @type {import("node:child_process").ChildProcess} */
let gateway;
let banner = "";

before(async () => {
  // A name that anyone could own, with an address on this machine.
  const args = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP shop.example 127.0.0.1"];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
  await once(pages.listen(0, "127.0.0.1"), "listening");
  const started = spawn(BINARY, ["serve", "--dev", "--port", "0"], { stdio: ["ignore", "ignore", "pipe"] });
  gateway = started;
  started.stderr.setEncoding("utf8").on("data", (text) => (banner += text));
  await until("the banner is printed", () => banner.includes("console.log"));
});

after(async () => {
  await browser?.close();
  pages.close();
  const exited = gateway && once(gateway, "exit");
  gateway?.kill("SIGKILL");
  await exited;
});

/** The two lines of the banner that stand in a page's script. */
function snippet() {
  const lines = banner.split("\n").map((line) => line.trim());
  const begin = lines.findIndex((line) => line.startsWith("const events = new EventSource("));
  return lines.slice(begin, begin + 2).join("\n");
}

/** Runs the snippet in a page of `host`. What it logs, and what fails, gathers. @param {string} host */
async function pageWithSnippet(host) {
  const page = await browser.newPage();
  /** @type {{ status: string }[]} */
  const logged = [];
  /** @type {string[]} */
  const errors = [];
  page.on("console", async (message) => {
    if (message.type() === "error") errors.push(message.text());
    else if (message.type() === "log") logged.push(await message.args()[0]?.jsonValue());
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (pages.address());
  await page.goto(`http://${host}:${port}/`);
  return { page, logged, errors };
}

test("the printed snippet follows a payment from a page of localhost on another port", async () => {
  const { page, logged, errors } = await pageWithSnippet("localhost");
  await until("the page hears of the payment", () => logged.some(({ status }) => status === "unknown"));

  const command = banner.split("\n").find((line) => line.includes("Post webhooks:"))?.split("Post webhooks:")[1]?.trim();
  const [variable = "", ...words] = command?.split(/\s+/) ?? [];
  const [name = "", secret = ""] = variable.split("=");
  assert.equal(words[0], "paystream");
  await promisify(execFile)(BINARY, [...words.slice(1), "--fast"], { env: { ...process.env, [name]: secret } });
  await until("the page hears that it is paid", () => logged.some(({ status }) => status === "captured"));
  assert.deepEqual(errors, []);
  await page.close();
});

test("the dashboard of a gateway that is open to everyone needs no token", async () => {
  const at = /All payments: +(http\S+)/.exec(banner)?.[1] ?? "";
  const page = await browser.newPage();
  await page.goto(at);
  await page.waitForSelector("#connection[data-state=live]");
  assert.equal(await page.isVisible("#gate"), false);
  await page.close();
});

test("a page of another origin is told nothing", async () => {
  const { page, logged, errors } = await pageWithSnippet("shop.example");
  await until("the browser refuses the answer", () => errors.length > 0);
  assert.match(errors.join("\n"), /No 'Access-Control-Allow-Origin' header/);
  assert.deepEqual(logged, []);
  await page.close();
});
