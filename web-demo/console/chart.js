/** Charts as SVG: each is one picture with a name, and the numbers stand beside it as text. Knows no metric. */

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [320, 96];

/** @param {string} tag @param {Record<string, string | number>} attributes */
function shape(tag, attributes) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** @param {HTMLElement} place @param {string} name @param {number} height @param {Element[]} shapes */
function draw(place, name, height, shapes) {
  const picture = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": name, class: "chart" });
  picture.append(...shapes);
  place.replaceChildren(picture);
}

/** @param {number} x @param {number} y @param {string} text @param {string} [anchor] */
function label(x, y, text, anchor = "middle") {
  const element = shape("text", { x, y, "text-anchor": anchor });
  element.textContent = text;
  return element;
}

/**
 * How a number went, oldest first, with its greatest value at the top.
 *
 * @param {HTMLElement} place
 * @param {string} name
 * @param {number[]} values
 * @param {number} most so many places there are from side to side
 */
export function line(place, name, values, most) {
  const top = Math.max(...values, 0) || 1;
  const points = values.map((value, index) => {
    const x = WIDTH - ((values.length - 1 - index) * WIDTH) / (most - 1);
    return `${x.toFixed(1)},${(HEIGHT - 4 - (value / top) * (HEIGHT - 12)).toFixed(1)}`;
  });
  draw(place, name, HEIGHT, [
    shape("line", { class: "axis", x1: 0, y1: HEIGHT - 3, x2: WIDTH, y2: HEIGHT - 3 }),
    shape("polyline", { class: "trace", points: points.join(" ") }),
  ]);
}

/**
 * Columns from left to right.
 *
 * @param {HTMLElement} place
 * @param {string} name
 * @param {{ label: string, value: number }[]} columns
 */
export function columns(place, name, columns) {
  const top = Math.max(...columns.map(({ value }) => value), 0) || 1;
  const step = WIDTH / Math.max(columns.length, 1);
  const every = Math.ceil(columns.length / 6);
  const shapes = columns.flatMap(({ label: text, value }, index) => {
    const height = value > 0 ? Math.max((value / top) * HEIGHT, 2) : 0;
    const bar = shape("rect", { class: "bar-of", x: (index * step + 1).toFixed(1), y: (HEIGHT - height).toFixed(1), width: (step - 2).toFixed(1), height: height.toFixed(1), rx: 1.5 });
    return index % every === 0 ? [bar, index === 0 ? label(0, HEIGHT + 13, text, "start") : label(index * step + step / 2, HEIGHT + 13, text)] : [bar];
  });
  draw(place, name, HEIGHT + 18, [shape("line", { class: "axis", x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT }), ...shapes]);
}

/**
 * Bars from top to bottom, each with its name and its number.
 *
 * @param {HTMLElement} place
 * @param {string} name
 * @param {{ label: string, value: number, tone: string }[]} bars
 */
export function bars(place, name, bars) {
  const [row, from] = [18, 96];
  const top = Math.max(...bars.map(({ value }) => value), 0) || 1;
  const shapes = bars.flatMap(({ label: text, value, tone }, index) => {
    const y = index * row + 2;
    const width = value > 0 ? Math.max((value / top) * (WIDTH - from - 52), 2) : 0;
    return [
      label(0, y + 11, text, "start"),
      shape("rect", { class: "bar-of", "data-tone": tone, x: from, y, width: width.toFixed(1), height: row - 5, rx: 2 }),
      label(from + width + 6, y + 11, value.toLocaleString(), "start"),
    ];
  });
  draw(place, name, Math.max(bars.length * row + 2, row), shapes);
}
