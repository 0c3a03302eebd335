/**
 * A list of any number of rows, of which only those in sight are in the page: a grid for the keyboard and for screen
 * readers. Knows nothing of payments: `fill` writes a row.
 *
 * The page's elements stand in the order of their rows, so that a screen reader which follows the page reads them in order.
 */

/** How many rows are kept ready above and below those in sight. */
const MARGIN = 8;

/**
 * @template {{ id: string }} Row
 * @typedef {object} ListOptions
 * @property {HTMLElement} grid scrolls, and takes the keyboard's focus
 * @property {HTMLElement} body within the grid: as high as all rows together
 * @property {(element: HTMLElement, row: Row, before: Row | undefined) => void} fill writes a row into its element, which shows
 *   `before`, or nothing yet
 * @property {(row: Row) => void} onOpen the row was clicked, or Enter was pressed on it
 * @property {() => void} [onEnd] the last rows came into sight
 */

/** @template {{ id: string }} Row */
export class List {
  #options;
  /** @type {readonly Row[]} */
  #rows = [];
  /** The elements in the page, for consecutive rows from `#from` on. @type {{ element: HTMLElement, row: Row | undefined }[]} */
  #slots = [];
  #from = 0;
  #rowHeight = 0;
  #height = 0;
  /** How high the head is, which stays in sight above the rows. */
  #head = 0;
  /** The row that the keyboard is on. @type {Row | undefined} */
  #active;
  /** Where the active row was last, should it leave the list. */
  #activeIndex = 0;
  /** @type {string | undefined} */
  #opened;

  /** @param {ListOptions<Row>} options */
  constructor(options) {
    this.#options = options;
    const { grid, body } = options;
    new ResizeObserver(() => this.#measure()).observe(grid);
    grid.addEventListener("scroll", () => this.#draw(), { passive: true });
    grid.addEventListener("keydown", (event) => this.#key(event));
    grid.addEventListener("focus", () => this.#active ?? this.#activate(this.#first()));
    body.addEventListener("click", (event) => this.#click(event));
  }

  /**
   * Shows these rows. What is in sight stays where it is, whatever came above it, unless the list stands at its top.
   *
   * @param {readonly Row[]} rows
   * @param {(row: Row) => number} indexOf where a row stands in `rows` now, -1 if it does not
   */
  show(rows, indexOf) {
    const { grid, body } = this.#options;
    const first = this.#first();
    const anchor = this.#rows[first];
    const top = grid.scrollTop;
    this.#rows = rows;
    body.hidden = rows.length === 0;
    if (!this.#rowHeight) this.#measure();
    body.style.height = `${rows.length * this.#rowHeight}px`;
    grid.setAttribute("aria-rowcount", String(rows.length + 1));
    if (anchor && top > 0) {
      const moved = indexOf(anchor) - first;
      if (moved !== 0 && moved >= -first) grid.scrollTop = top + moved * this.#rowHeight;
    }
    if (this.#active) {
      const index = indexOf(this.#active);
      this.#activeIndex = index >= 0 ? index : Math.min(this.#activeIndex, Math.max(rows.length - 1, 0));
      this.#active = rows[this.#activeIndex];
    }
    this.#draw();
  }

  /** Marks the row whose details are open. @param {string | undefined} id */
  mark(id) {
    this.#opened = id;
    this.#draw();
  }

  toTop() {
    this.#options.grid.scrollTop = 0;
  }

  /** The index of the first row in sight. */
  #first() {
    return this.#rowHeight ? Math.floor(this.#options.grid.scrollTop / this.#rowHeight) : 0;
  }

  #measure() {
    const { grid, body } = this.#options;
    const probe = body.appendChild(row());
    this.#rowHeight = probe.offsetHeight;
    probe.remove();
    // Out of sight, nothing has a height.
    if (!this.#rowHeight) return;
    this.#head = body.offsetTop;
    this.#height = Math.max(grid.clientHeight - this.#head, this.#rowHeight);
    body.style.height = `${this.#rows.length * this.#rowHeight}px`;
    for (const slot of this.#slots) slot.element.remove();
    this.#slots = [];
    this.#draw();
  }

  /** Brings the elements in line with the rows that are in sight. */
  #draw() {
    if (!this.#rowHeight) return;
    const inSight = Math.ceil(this.#height / this.#rowHeight) + 1;
    const count = Math.min(inSight + 2 * MARGIN, this.#rows.length);
    const from = Math.max(0, Math.min(this.#first() - MARGIN, this.#rows.length - count));
    this.#rotate(from, count);
    for (const [place, slot] of this.#slots.entries()) this.#drawRow(slot, from + place);
    const active = this.#active ? this.#slots.find((slot) => slot.row?.id === this.#active?.id) : undefined;
    if (active) this.#options.grid.setAttribute("aria-activedescendant", active.element.id);
    else this.#options.grid.removeAttribute("aria-activedescendant");
    if (from + count >= this.#rows.length) this.#options.onEnd?.();
  }

  /** Has `count` elements for the rows from `from` on; those that stay in sight keep their rows. @param {number} from @param {number} count */
  #rotate(from, count) {
    const { body } = this.#options;
    const slots = this.#slots;
    while (slots.length > count) slots.pop()?.element.remove();
    while (slots.length < count) {
      const element = body.appendChild(row());
      slots.push({ element, row: undefined });
    }
    const shift = from - this.#from;
    this.#from = from;
    if (Math.abs(shift) >= count) return;
    for (let step = 0; step < shift; step += 1) {
      const slot = slots.shift();
      if (slot) (slots.push(slot), body.append(slot.element));
    }
    for (let step = 0; step < -shift; step += 1) {
      const slot = slots.pop();
      if (slot) (slots.unshift(slot), body.prepend(slot.element));
    }
  }

  /** @param {{ element: HTMLElement, row: Row | undefined }} slot @param {number} index */
  #drawRow(slot, index) {
    const row = this.#rows[index];
    if (!row) return;
    const { element } = slot;
    const place = String(index);
    if (element.dataset.index !== place) {
      element.dataset.index = place;
      element.id = `row-${place}`;
      element.setAttribute("aria-rowindex", String(index + 2));
      element.style.transform = `translateY(${index * this.#rowHeight}px)`;
      element.classList.toggle("odd", index % 2 === 1);
    }
    if (slot.row !== row) {
      this.#options.fill(element, row, slot.row);
      slot.row = row;
    }
    element.classList.toggle("active", row.id === this.#active?.id);
    element.setAttribute("aria-selected", String(row.id === this.#opened));
  }

  /** @param {number} index */
  #activate(index) {
    this.#activeIndex = index;
    this.#active = this.#rows[index];
    this.#draw();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const element = /** @type {HTMLElement} */ (event.target).closest(".row");
    const place = this.#slots.findIndex((slot) => slot.element === element);
    // Who has selected text wants to copy it.
    if (place < 0 || getSelection()?.toString()) return;
    this.#activate(this.#from + place);
    this.#open();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || this.#rows.length === 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return this.#open();
    }
    const page = Math.max(Math.floor(this.#height / this.#rowHeight) - 1, 1);
    const last = this.#rows.length - 1;
    /** @type {Record<string, number>} */
    const places = {
      ArrowDown: this.#activeIndex + 1,
      ArrowUp: this.#activeIndex - 1,
      PageDown: this.#activeIndex + page,
      PageUp: this.#activeIndex - page,
      Home: 0,
      End: last,
    };
    const place = places[event.key];
    if (place === undefined) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(place, last));
    this.#reveal(index);
    this.#activate(index);
  }

  #open() {
    if (this.#active) this.#options.onOpen(this.#active);
  }

  /** Scrolls as far as it takes to have the row in sight. @param {number} index */
  #reveal(index) {
    const { grid } = this.#options;
    const top = index * this.#rowHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + this.#rowHeight > grid.scrollTop + this.#height) grid.scrollTop = top + this.#rowHeight - this.#height;
  }
}

function row() {
  const element = document.createElement("div");
  element.setAttribute("role", "row");
  element.className = "row";
  return element;
}
