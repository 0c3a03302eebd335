/** Follows a stream with npm's `eventsource` and prints each message as a line of JSON: eventsource.mjs URL */

import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2] ?? "");
source.onmessage = ({ data }) => console.log(data);
