/** `usePayment`: a payment as the state of a React component. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { watchPayment } from "./index.js";

/**
 * @typedef {object} Followed
 * @property {import("./index.js").Payment | undefined} payment what is known of it; `undefined` until the gateway has said it
 * @property {import("./index.js").Connection} connection
 *
 * @typedef {Omit<import("./index.js").Options, "payment"> & { payment: string | null | undefined }} HookOptions `payment`: as
 *   long as there is none, nothing is followed
 */

/** Before the watch begins, and on a server. @type {Followed} */
const NOTHING = Object.freeze({ payment: undefined, connection: "connecting" });

/**
 * Follows a payment while the component is mounted. A change of an option that is no callback begins anew; callbacks may be
 * other functions at each render.
 *
 * @param {HookOptions} options
 * @returns {Followed}
 */
export function usePayment(options) {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { payment, url, token, until, heartbeatMs, withCredentials, share, storage } = options;
  const store = useMemo(
    () => follow(payment, latest),
    [payment, url, token, until, heartbeatMs, withCredentials, share, storage],
  );
  return useSyncExternalStore(store.subscribe, store.get, () => NOTHING);
}

/**
 * @param {string | null | undefined} payment
 * @param {{ current: HookOptions }} latest
 */
function follow(payment, latest) {
  let followed = NOTHING;
  return {
    get: () => followed,
    /** @param {() => void} changed */
    subscribe(changed) {
      if (!payment) return () => {};
      const set = (/** @type {Partial<Followed>} */ news) => {
        followed = { ...followed, ...news };
        changed();
      };
      const { getToken } = latest.current;
      const watch = watchPayment({
        ...latest.current,
        payment,
        ...(getToken && { getToken: () => (latest.current.getToken ?? getToken)() }),
        onStatus(payment) {
          set({ payment });
          latest.current.onStatus?.(payment);
        },
        onEvent: (event, payment) => latest.current.onEvent?.(event, payment),
        onConnection(connection) {
          set({ connection });
          latest.current.onConnection?.(connection);
        },
      });
      return () => watch.close();
    },
  };
}
