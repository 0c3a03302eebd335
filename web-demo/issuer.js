/**
 * Where the dashboard gets its token, unless a person gives it one: from nowhere. The demo serves another module in place
 * of this one.
 *
 * @type {(() => Promise<string>) | undefined}
 */
export const issue = undefined;
