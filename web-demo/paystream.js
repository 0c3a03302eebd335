/** The client package, as it stands in `clients/js`; the gateway serves its modules under the path that they have here. */

export * from "../clients/js/src/index.js";
