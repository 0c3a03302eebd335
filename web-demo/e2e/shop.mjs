/** A shop whose pages stand on another origin than the gateway's, and whose server hands out tokens. */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

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
      case "GET /": {
        const body = '<!doctype html><link rel="icon" href="data:,"><p id="payment"></p><script type="module" src="/page.js"></script>';
        return { headers: { "content-type": "text/html" }, body };
      }
      case "GET /page.js":
        return { headers: script, body: this.script };
      case "GET /paystream.js":
        return { headers: script, body: await readFile(new URL("../paystream.js", import.meta.url)) };
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
