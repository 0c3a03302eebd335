// Server-sent events on Node's own http module.

import { serve } from "./serve.mjs";

const HEARTBEAT_MS = 15_000;

/** @type {Map<string, Set<import("node:http").ServerResponse>>} */
const watchers = new Map();

function subscribe(channel, request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  response.flushHeaders();
  let own = watchers.get(channel);
  if (!own) watchers.set(channel, (own = new Set()));
  own.add(response);
  const heartbeats = setInterval(() => response.write(": \n\n"), HEARTBEAT_MS);
  request.on("close", () => {
    clearInterval(heartbeats);
    own.delete(response);
    if (own.size === 0) watchers.delete(channel);
  });
}

function broadcast(channel, data) {
  const frame = `data: ${data}\n\n`;
  for (const response of watchers.get(channel) ?? []) response.write(frame);
}

await serve({ subscribe, broadcast });
