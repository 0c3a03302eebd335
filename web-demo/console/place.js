/** Where in the console somebody is: the page and its filter, in the address's fragment, which outlives a reload and can be passed on. */

/** @typedef {{ page: string, query: URLSearchParams }} Place */

/** @returns {Place} */
export function here() {
  const [, page = "", query = ""] = /^#\/(\w*)(?:\?(.*))?$/.exec(location.hash) ?? [];
  return { page, query: new URLSearchParams(query) };
}

/** The address of a page. @param {string} page @param {Record<string, string | undefined>} [query] what is empty is left out */
export function address(page, query = {}) {
  const given = Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : []));
  const text = String(new URLSearchParams(given));
  return `#/${page}${text && `?${text}`}`;
}

/** Notes a filter in the address, without another step in the history. @param {string} page @param {Record<string, string | undefined>} query */
export function note(page, query) {
  history.replaceState(null, "", address(page, query));
}

/** The fields of a form that say something. @param {HTMLFormElement} form @returns {Record<string, string>} */
export function fieldsOf(form) {
  const pairs = [...new FormData(form)].flatMap(([name, value]) => (typeof value === "string" && value.trim() ? [[name, value.trim()]] : []));
  return Object.fromEntries(pairs);
}

/** Writes a filter into a form. @param {HTMLFormElement} form @param {URLSearchParams} query */
export function fillForm(form, query) {
  for (const field of form.elements) {
    const input = /** @type {HTMLInputElement} */ (field);
    if (!input.name || input.type === "checkbox") continue;
    const value = query.get(input.name) ?? "";
    // An option that is not there yet, such as a source that is still to be read.
    if (field instanceof HTMLSelectElement && value && ![...field.options].some((option) => option.value === value)) field.add(new Option(value, value));
    input.value = value;
  }
}
