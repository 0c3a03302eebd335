/**
 * A shop whose pages stand on another origin than the gateway's, and whose server hands out tokens. Its pages have
 * `@paystream/client` as it is built in `clients/js/dist`.
 */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const PACKAGE = "@paystream/client";
const CLIENT = new URL("../../clients/js/dist/", import.meta.url);

/** A page with nothing but a place for a payment, and the module that it runs. */
const PAGE = `<!doctype html>
<html lang="en">
<link rel="icon" href="data:,">
<script type="importmap">
${JSON.stringify({ imports: { [PACKAGE]: "/client/index.js", [`${PACKAGE}/`]: "/client/" } })}
</script>
<p id="payment"></p>
<script type="module" src="/page.js"></script>`;

/** What the shop answers to a request for a token: JSON, or nothing but a status if it cannot give one. */
/** @typedef {{ status?: number, headers?: Record<string, string>, body?: object }} TokenAnswer */

export class Shop {
  /** How often a page has asked for a token. */
  asked = 0;
  /** @type {(asked: number) => TokenAnswer | Promise<TokenAnswer>} called with the number of the request, from 1 */
  token = () => ({ status: 404 });
  /** The module that the page runs. */
  script = "";
  #server;

  /** @param {import("node:http").Server} server */
  constructor(server) {
    this.#server = server;
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const shop = new Shop(server);
    server.on("request", (request, response) => {
      shop.#answer(request).then(({ status = 200, headers, body }) => response.writeHead(status, headers).end(body));
    });
    return shop;
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  /** @param {import("node:http").IncomingMessage} request @returns {Promise<{ status?: number, headers?: Record<string, string>, body?: string | Buffer }>} */
  async #answer({ method, url }) {
    const { pathname } = new URL(url ?? "/", this.url);
    const script = { "content-type": "text/javascript" };
    switch (`${method} ${pathname}`) {
      case "GET /":
        return { headers: { "content-type": "text/html" }, body: PAGE };
      case "GET /page.js":
        return { headers: script, body: this.script };
      case "GET /client/index.js":
      case "GET /client/element":
        return { headers: script, body: await readFile(new URL(`${pathname.replace("/client/", "").replace(".js", "")}.js`, CLIENT)) };
      case "POST /payment-token": {
        const { status = 200, headers = {}, body } = await this.token((this.asked += 1));
        const text = body ? JSON.stringify(body) : "<h1>This is no token</h1>";
        return { status, headers: { "content-type": "application/json", ...headers }, body: text };
      }
      default:
        return { status: 404 };
    }
  }
}
