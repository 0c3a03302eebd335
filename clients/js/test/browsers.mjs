/** Chromium and Firefox, driven alike. */

import puppeteer from "puppeteer-core";

/** A name that anyone could own, with an address on this machine: pages of it are no secure context. */
export const PLAIN_HOST = "shop.example";

/** How each browser is started. @type {Record<string, () => Promise<import("puppeteer-core").Browser>>} */
export const BROWSERS = {
  Chromium: () =>
    puppeteer.launch({
      browser: "chrome",
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`],
    }),
  Firefox: () =>
    puppeteer.launch({
      browser: "firefox",
      executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
      extraPrefsFirefox: { "network.dns.localDomains": PLAIN_HOST },
    }),
};
