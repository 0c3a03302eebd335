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

  /**
   * The channels that streams watch: how many, and when Redis has confirmed the subscription.
   * @type {Map<string, { streams: number, subscribed: Promise<void> }>}
   */
  const watched = new Map();
  const forward = (data, name) => broadcast(name.slice(4), data);

  // One subscription for each channel that has streams, as an application has that must not receive what nobody here watches.
  async function watch(channel, request, response) {
    let own = watched.get(channel);
    if (!own) watched.set(channel, (own = { streams: 0, subscribed: subscriber.subscribe(`pay:${channel}`, forward) }));
    own.streams += 1;
    response.once("close", () => {
      own.streams -= 1;
      if (own.streams > 0) return;
      watched.delete(channel);
      subscriber.unsubscribe(`pay:${channel}`, forward);
    });
    // A stream that was answered earlier would lose what is posted until Redis has the subscription.
    await own.subscribed;
    if (!response.destroyed) subscribe(channel, request, response);
  }

  async function publish(channel, request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    await bus.publish(`pay:${channel}`, Buffer.concat(parts).toString());
    response.end();
  }

  const server = createServer((request, response) => {
    const [, what, channel] = request.url.split("/");
    if (request.method === "GET" && what === "sub") watch(channel, request, response);
    else if (request.method === "POST" && what === "pub") publish(channel, request, response);
    else response.writeHead(404).end();
  });
  const [host, port] = listen.split(":");
  server.listen({ host, port: Number(port) });
}
