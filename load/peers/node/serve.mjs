// What both of Node's baselines share: POST /pub/NAME goes through Redis to all streams of GET /sub/NAME.
//
//   node http.mjs ADDRESS:PORT redis://ADDRESS:PORT

import { createServer } from "node:http";
import { createClient } from "@redis/client";

/**
 * @param {{
 *   subscribe(channel: string, request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse): unknown,
 *   broadcast(channel: string, data: string): void,
 * }} streams
 */
export async function serve({ subscribe, broadcast }) {
  const [listen, redis] = process.argv.slice(2);
  const bus = await createClient({ url: redis }).connect();
  const subscriber = await bus.duplicate().connect();
  await subscriber.pSubscribe("pay:*", (data, channel) => broadcast(channel.slice(4), data));

  async function publish(channel, request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    await bus.publish(`pay:${channel}`, Buffer.concat(parts).toString());
    response.end();
  }

  const server = createServer((request, response) => {
    const [, what, channel] = request.url.split("/");
    if (request.method === "GET" && what === "sub") subscribe(channel, request, response);
    else if (request.method === "POST" && what === "pub") publish(channel, request, response);
    else response.writeHead(404).end();
  });
  const [host, port] = listen.split(":");
  server.listen({ host, port: Number(port) });
}
