/** A proxy that passes an answer on once it is complete, as some of companies and virus scanners do. Stopped by its socket. */

import { once } from "node:events";
import { createServer, request } from "node:http";

export class BufferingProxy {
  #server;

  /** @param {import("node:http").Server} server */
  constructor(server) {
    this.#server = server;
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    this.url = `http://127.0.0.1:${port}`;
  }

  /** @param {string} gateway its address */
  static async start(gateway) {
    const server = createServer((asked, answer) => {
      const headers = { ...asked.headers, host: new URL(gateway).host };
      const passed = request(`${gateway}${asked.url}`, { method: asked.method, headers }, async (told) => {
        const body = await told.toArray().catch(() => undefined);
        if (body === undefined) return answer.destroy();
        const { "transfer-encoding": _, ...rest } = told.headers;
        answer.writeHead(told.statusCode ?? 502, rest).end(Buffer.concat(body));
      });
      passed.on("error", () => answer.destroy()).end();
      answer.on("close", () => passed.destroy());
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new BufferingProxy(server);
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
