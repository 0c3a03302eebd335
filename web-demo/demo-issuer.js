/** Has the demo sign a token for all of its payments. Served to the dashboard in place of `issuer.js`. */

/** @returns {Promise<string>} */
export async function issue() {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/demo/dashboard-token", { method: "POST", headers, body: "{}" });
  if (!response.ok) throw new Error(`the demo answered ${response.status}`);
  return (await response.json()).token;
}
