/** The package as `npm pack` makes it: its size, its files, its types, and how it runs outside a browser. */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { Gateway, newPayment, token, until } from "../../../web-demo/e2e/support.mjs";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const isArm = process.arch === "arm64";
const DENO = join(HERE, `node_modules/@deno/linux-${isArm ? "arm64" : "x64"}-glibc/deno`);
const BUN = join(HERE, `node_modules/@oven/bun-linux-${isArm ? "aarch64" : "x64"}/bin/bun`);

/** A shop's folder, into which the packed package is installed. */
let shop = "";
/** @type {{ path: string }[]} */
let files = [];
/** @type {Gateway} */
let gateway;

before(async () => {
  shop = await mkdtemp(join(tmpdir(), "paystream-shop-"));
  const { stdout } = await run("npm", ["pack", "--json", "--silent", "--ignore-scripts", "--pack-destination", shop], { cwd: HERE });
  const [packed] = JSON.parse(stdout);
  files = packed.files;
  await writeFile(join(shop, "package.json"), JSON.stringify({ name: "shop", private: true, type: "module" }));
  await run("npm", ["install", "--no-audit", "--no-fund", "--offline", packed.filename], { cwd: shop });
  await copyFile(join(HERE, "test/follow.mjs"), join(shop, "follow.mjs"));
  gateway = await Gateway.start({ linger: "1s" });
});

after(async () => {
  await gateway?.stop();
  await rm(shop, { recursive: true, force: true });
});

/** Checks files of the shop's folder. @param {string[]} words */
function tsc(...words) {
  const program = join(HERE, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom,dom.iterable"];
  return run(process.execPath, [program, ...options, ...words], { cwd: shop }).catch(({ stdout }) => assert.fail(stdout));
}

test("a page loads 4 KB at most", async () => {
  const entry = await readFile(join(shop, "node_modules/@paystream/client/dist/index.js"));
  assert(gzipSync(entry, { level: 9 }).length <= 4_096, `${gzipSync(entry, { level: 9 }).length}`);
  assert(!/\bimport\b[^(]/.test(entry.toString()), "and nothing beside that");
});

test("the package has the files that are meant, and nothing else", () => {
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "dist/element.d.ts",
    "dist/element.js",
    "dist/index.d.ts",
    "dist/index.js",
    "dist/money.d.ts",
    "dist/react.d.ts",
    "dist/react.js",
    "dist/types.d.ts",
    "dist/watch.d.ts",
    "package.json",
  ]);
});

test("its version is the gateway's", async () => {
  const { version } = JSON.parse(await readFile(join(HERE, "package.json"), "utf8"));
  const cargo = await readFile(join(HERE, "../../Cargo.toml"), "utf8");
  assert.equal(version, /\[workspace\.package\]\s+version = "(.*)"/.exec(cargo)?.[1]);
});

test("a shop in TypeScript is checked against its types, and they are whole without React", async () => {
  await writeFile(join(shop, "shop.ts"), `
    import { money, watchPayment, watchPayments, type Payment, type Connection } from "@paystream/client";
    import { PaymentStatus } from "@paystream/client/element";
    const show = (payment: Payment): string => payment.status + money(payment.amount, payment.currency, payment.exponent);
    const watch = watchPayment({ payment: "pi_1", getToken: async () => "t", onStatus: show, storage: sessionStorage });
    for await (const { timeline: [first] } of watch) first satisfies { id: string, late?: boolean } | undefined;
    watchPayments({ payments: ["a", "b"], onConnection: (connection: Connection) => connection === "crowded" }).close();
    document.querySelector<PaymentStatus>("payment-status")!.getToken = () => "t";
    // @ts-expect-error
    watchPayment({ payment: 1 });
    // @ts-expect-error
    watchPayment({ payment: "pi_1", until: "captured" });
    // @ts-expect-error
    const wrong: "paid" = watch.connection;
  `);
  await tsc("shop.ts");
  await writeFile(join(shop, "component.ts"), `
    import { usePayment } from "@paystream/client/react";
    export function Component(payment: string | undefined): string {
      const { payment: known, connection } = usePayment({ payment, token: "t", until: "finished" });
      return (known?.status satisfies string | undefined) ?? connection;
    }
  `);
  await tsc("component.ts");
});

test("each script of the package's page is a module that its types allow", async () => {
  const page = await readFile(join(shop, "node_modules/@paystream/client/README.md"), "utf8");
  const scripts = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, script = ""]) => script);
  assert.equal(scripts.length, 4);
  const names = scripts.map((_, index) => `page-${index}.mjs`);
  for (const [index, script] of scripts.entries()) await writeFile(join(shop, names[index] ?? ""), script);
  await tsc("--allowJs", "--checkJs", "--noImplicitAny", "false", ...names);
});

test("on a server, the component renders what is not known yet, and the element's module does no harm", async () => {
  for (const name of ["react", "react-dom"]) await symlink(join(HERE, "node_modules", name), join(shop, "node_modules", name));
  await writeFile(join(shop, "render.mjs"), `
    import "@paystream/client/element";
    import { usePayment } from "@paystream/client/react";
    import { createElement } from "react";
    import { renderToString } from "react-dom/server";
    const Component = () => JSON.stringify(usePayment({ url: "http://gateway.invalid", payment: "pi_1" }));
    console.log(renderToString(createElement(Component)).replaceAll("&quot;", '"'));
  `);
  const { stdout } = await run(process.execPath, ["render.mjs"], { cwd: shop });
  assert.equal(stdout.trim(), '{"connection":"connecting"}');
});

for (const [runtime, command] of Object.entries({
  Node: [process.execPath],
  Deno: [DENO, "run", "--quiet", "--no-lock", "--allow-net", "--allow-env"],
  Bun: [BUN, "run"],
})) {
  test(`${runtime} follows a payment over the end of its gateway, until it is finished, and ends by itself`, async () => {
    const payment = newPayment();
    const [program = "", ...words] = command;
    const child = spawn(program, [...words, "follow.mjs", gateway.url, payment, token(payment)], {
      cwd: shop,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", DENO_DIR: join(shop, "deno"), NO_COLOR: "1" },
    });
    /** @type {Record<string, string>[]} */
    const lines = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line)));
    const says = (/** @type {Record<string, string>} */ line) =>
      until(`${runtime} says ${JSON.stringify(line)}`, () => lines.some((said) => JSON.stringify(said) === JSON.stringify(line)));
    try {
      await says({ status: "unknown", price: "" });
      const sent = [await gateway.post(payment, "payment_intent.created")];
      await says({ status: "created", price: "€42.00" });
      await gateway.kill();
      await says({ connection: "reconnecting" });
      await gateway.run();
      for (const type of ["payment_intent.processing", "payment_intent.succeeded"]) sent.push(await gateway.post(payment, type));
      await says({ ended: "finished" });
      await until("the program has ended", () => child.exitCode !== null);
      assert.equal(child.exitCode, 0);
      assert.deepEqual(lines.flatMap(({ event }) => event ?? []), sent);
      assert.deepEqual(lines.at(-2), { connection: "finished" });
    } finally {
      child.kill("SIGKILL");
    }
  });
}
