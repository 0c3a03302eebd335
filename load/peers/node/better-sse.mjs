// Server-sent events by the better-sse library, as its documentation shows: a session for each stream, a channel for those of a kind.

import { createChannel, createSession } from "better-sse";
import { serve } from "./serve.mjs";

/** @type {Map<string, import("better-sse").Channel>} */
const channels = new Map();

async function subscribe(channel, request, response) {
  // What is posted is text already.
  const session = await createSession(request, response, { serializer: String, keepAlive: 15_000 });
  let own = channels.get(channel);
  if (!own) channels.set(channel, (own = createChannel()));
  own.register(session);
  session.once("disconnected", () => {
    if (own.sessionCount === 0) channels.delete(channel);
  });
}

function broadcast(channel, data) {
  channels.get(channel)?.broadcast(data);
}

await serve({ subscribe, broadcast });
