/** Server-sent events as the gateway writes them. Knows nothing of payments. */

/** A line longer than this is no event of a gateway, whose longest has 512 entries. In characters. */
const LONGEST_LINE = 4_000_000;

/**
 * The events of a body, as they arrive. Ends with the body; a body that breaks off is an error.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{ event?: string, id?: string, data?: string, retry?: string }, void>}
 */
export async function* readEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  /** @type {Record<string, string>} */
  let fields = {};
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r?\n/);
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_LINE) throw new Error("a line is too long");
    for (const line of lines) {
      const [, name = "", content = ""] = /^([^:]*):? ?(.*)/s.exec(line) ?? [];
      if (line) fields[name] = content;
      else {
        yield fields;
        fields = {};
      }
    }
  }
}
