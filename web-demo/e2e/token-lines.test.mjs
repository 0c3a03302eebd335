/** The lines that sign a token in Node, as the page of tokens has them, with the library that they name. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";
import { Gateway, TOKEN_KEY } from "./support.mjs";

test("the lines in Node sign a token that opens the payment", async (t) => {
  const page = await readFile(new URL("../../docs/src/guides/tokens.md", import.meta.url), "utf8");
  const [, lines = ""] = /```js\n(.*?)```/s.exec(page) ?? [];
  assert.match(lines, /jsonwebtoken/);
  const gateway = await Gateway.start();
  t.after(() => gateway.stop());
  const options = { cwd: new URL("..", import.meta.url), env: { ...process.env, PAYSTREAM_TOKEN_KEY: TOKEN_KEY } };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", `${lines.replace('"k1"', '"e2e"')}\nconsole.log(token);`], options);
  for (const [payment, status] of Object.entries({ pi_123: 200, pi_124: 403 })) {
    const answer = await fetch(`${gateway.url}/v1/payments/${payment}`, { headers: { authorization: `Bearer ${stdout.trim()}` } });
    assert.equal(answer.status, status, payment);
  }
});
