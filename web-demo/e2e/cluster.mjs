/** Two gateways over one Redis server, behind nginx as `deploy/` has it: TLS and HTTP/2 in front. Stopped by its processes. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Gateway, freePort, until, webhook } from "./support.mjs";

const DEPLOY = fileURLToPath(new URL("../../deploy", import.meta.url));

export class Cluster {
  /** @param {string} folder @param {string} url @param {Gateway[]} gateways @param {import("node:child_process").ChildProcess[]} others */
  constructor(folder, url, gateways, others) {
    this.folder = folder;
    this.url = url;
    this.gateways = gateways;
    this.others = others;
    this.certificate = join(folder, "tls/cert.pem");
  }

  static async start() {
    const folder = await mkdtemp(join(tmpdir(), "paystream-cluster-"));
    const [redisPort, nginxPort] = [await freePort(), await freePort()];
    const redis = await startRedis(folder, redisPort);
    const store = `kind = "redis"\nurl = "redis://127.0.0.1:${redisPort}"`;
    const gateways = await Promise.all([Gateway.start({ store }), Gateway.start({ store })]);
    const nginx = await startNginx(folder, nginxPort, gateways);
    return new Cluster(folder, `https://localhost:${nginxPort}`, gateways, [nginx, redis]);
  }

  /** Posts one signed Stripe webhook through nginx; returns its event id. @param {string} payment @param {string} type */
  async post(payment, type) {
    const { id, headers, body } = webhook(payment, type);
    const ca = await readFile(this.certificate);
    const sent = request(`${this.url}/webhooks/stripe`, { method: "POST", headers, ca });
    sent.end(body);
    const [answer] = /** @type {[import("node:http").IncomingMessage]} */ (await once(sent, "response"));
    answer.resume();
    if (answer.statusCode !== 200) throw new Error(`the webhook was answered by ${answer.statusCode}`);
    return id;
  }

  async stop() {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    for (const other of this.others) {
      const exited = once(other, "exit");
      // By a signal that it hears: killed, nginx would leave its workers behind.
      other.kill("SIGTERM");
      await exited;
    }
    await rm(this.folder, { recursive: true });
  }
}

/** @param {string} folder @param {number} port */
async function startRedis(folder, port) {
  const options = ["--bind", "127.0.0.1", "--port", `${port}`, "--dir", folder, "--save", ""];
  const redis = spawn("redis-server", [...options, "--appendonly", "yes"], { stdio: "ignore" });
  await until("Redis listens", () => listens(port));
  return redis;
}

/** The shipped configuration; only addresses and places of files are others. @param {string} folder @param {number} port @param {Gateway[]} gateways */
async function startNginx(folder, port, gateways) {
  const shipped = (/** @type {string} */ name) => readFile(join(DEPLOY, name), "utf8");
  let upstreams = await shipped("upstreams.conf");
  for (const [index, gateway] of gateways.entries()) {
    // Here, a gateway takes webhooks on its public socket.
    upstreams = upstreams.replaceAll(new RegExp(`gateway-${index + 1}:\\d+`, "g"), new URL(gateway.url).host);
  }
  for (const kind of ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]) upstreams += `${kind}_temp_path ${kind};\n`;
  await promisify(execFile)(join(DEPLOY, "self-signed"), [join(folder, "tls")]);
  await writeFile(join(folder, "nginx.conf"), await shipped("nginx.conf"));
  await writeFile(join(folder, "upstreams.conf"), upstreams);
  await writeFile(join(folder, "listen.conf"), (await shipped("listen.conf")).replace("listen 443", `listen 127.0.0.1:${port}`));
  const options = ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr", "-g", "daemon off; pid nginx.pid;"];
  // Its access log goes to its standard output, which it opens by name: a file can be, a socket cannot.
  const nginx = spawn("sh", ["-c", 'exec nginx "$@" >access.log 2>error.log', "nginx", ...options], { cwd: folder, stdio: "ignore" });
  await until("nginx listens", () => listens(port));
  return nginx;
}

/** @param {number} port @returns {Promise<boolean>} */
function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => (socket.destroy(), resolve(true)));
    socket.on("error", () => resolve(false));
  });
}
