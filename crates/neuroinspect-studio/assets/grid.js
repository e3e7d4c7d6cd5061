// A grid of images that holds only what is to be seen: a hundred thousand samples scroll and filter at once.
import { complain, fragment, keys } from './studio.js';

const grid = document.querySelector('#grid');
const sheet = grid.querySelector('.sheet');
const form = document.querySelector('#filters');
const shown = document.querySelector('#shown');
const names = JSON.parse(document.querySelector('#names').textContent);
const fixed = grid.dataset.label;
const NO_GROUP = 0xffffffff;
const CELL = 104; // Width and height of a cell, in pixels: a thumbnail and its caption.
const HEIGHT = 132;
const REST = 60; // Milliseconds in which less than half of what is seen moves on.
const AT_ONCE = 4; // Images asked for at a time: the page is drawn by the same cores that make them.

let samples = new Uint32Array(0);
let rows = new Uint32Array(0); // Those that pass the filters.
let columns = 1;
let focused = 0; // A place among the rows.
const cells = new Map(); // By place.
let drawn = { first: 0, last: 0, top: 0 }; // The places that have cells, and how far the grid was scrolled then.
let watch = { timer: 0, from: 0 }; // Whether it comes to rest, and how far the grid was scrolled when that was begun to be looked at.
let resting = false;
const asked = new Set(); // Images that are on their way.

const label = (row) => samples[3 * row];
const prediction = (row) => samples[3 * row + 1];
const group = (row) => samples[3 * row + 2];

function filters() {
  const data = new FormData(form);
  const number = (name) => (data.get(name) ? Number(data.get(name)) : null);
  return {
    label: fixed === undefined ? number('label') : Number(fixed),
    predicted: number('predicted'),
    group: number('group'),
    only: data.get('only'),
  };
}

function filter() {
  const start = performance.now();
  const want = filters();
  const count = samples.length / 3;
  const found = new Uint32Array(count);
  let length = 0;
  let all = 0; // Of a class's page those of the class.
  for (let row = 0; row < count; row += 1) {
    if (fixed !== undefined && label(row) !== want.label) continue;
    all += 1;
    if (want.label !== null && label(row) !== want.label) continue;
    if (want.predicted !== null && prediction(row) !== want.predicted) continue;
    if (want.group !== null && group(row) !== want.group) continue;
    const right = label(row) === prediction(row);
    if ((want.only === 'mistakes' && right) || (want.only === 'right' && !right)) continue;
    found[length] = row;
    length += 1;
  }
  rows = found.subarray(0, length);
  focused = 0;
  shown.textContent = length > 0 ? `${length} of ${all} images` : `0 of ${all} images: none passes these filters`;
  cells.forEach((cell, place) => release(place, cell));
  grid.scrollTop = 0;
  layout();
  performance.measure('grid-filter', { start, end: performance.now() });
}

/** Puts down how large the sheet is, and then what of it is seen. */
function layout() {
  const wide = Math.max(1, Math.floor(grid.clientWidth / CELL));
  if (wide !== columns) {
    columns = wide;
    cells.forEach((cell, place) => release(place, cell));
  }
  const lines = Math.ceil(rows.length / columns);
  sheet.style.height = `${lines * HEIGHT}px`;
  draw();
}

function draw() {
  // Read before anything is written: after it, all would be laid out at once for the answer.
  const [top, height] = [grid.scrollTop, grid.clientHeight];
  const first = Math.max(0, Math.floor(top / HEIGHT) - 2) * columns;
  const last = Math.min(rows.length, (Math.ceil((top + height) / HEIGHT) + 2) * columns);
  const free = [];
  for (const [place, cell] of cells) if (place < first || place >= last) free.push(release(place, cell));
  if (cells.size === 0) {
    // None stays: all are filled anew where they lie, which is half the work of making them.
    const lying = [...sheet.querySelectorAll('.cell')];
    for (let place = first; place < last; place += 1) fill(lying[place - first] ?? sheet.appendChild(make()), place);
    for (const cell of lying.slice(Math.max(0, last - first))) cell.remove();
  } else {
    let after = null;
    for (let place = last - 1; place >= first; place -= 1) {
      let cell = cells.get(place);
      if (!cell) {
        cell = fill(free.pop() ?? make(), place);
        // In the order in which they are read.
        sheet.insertBefore(cell, after);
      }
      after = cell;
    }
    for (const cell of free) cell.remove();
  }
  drawn = { first, last, top };
  const flies = Math.abs(top - watch.from) > height / 2;
  resting &&= !flies;
  if (flies || !watch.timer) {
    clearTimeout(watch.timer);
    watch = { timer: setTimeout(rest, REST), from: top };
  }
  mark();
}

/** The time of rest is over. A single frame that took as long is none: what it is followed by is drawn first. */
function rest() {
  watch.timer = 0;
  resting = grid.scrollTop === drawn.top;
  load();
}

/** Asks for the images that are seen, some at a time: those that fly past are not waited for, and not asked for. */
function load() {
  if (!resting) return;
  // What is done without a word, as where a page was put aside meanwhile.
  for (const image of asked) if (image.complete) asked.delete(image);
  // What is seen before the two lines above it.
  const seen = Math.max(drawn.first, Math.floor(drawn.top / HEIGHT) * columns);
  const places = [[seen, drawn.last], [drawn.first, seen]];
  for (const [first, last] of places) for (let place = first; place < last && asked.size < AT_ONCE; place += 1) {
    const image = cells.get(place)?.firstChild;
    if (!image?.dataset.src) continue;
    asked.add(image);
    image.src = image.dataset.src;
    delete image.dataset.src;
  }
}

/** An image has come: the next one's turn. */
function came(event) {
  if (asked.delete(event.target)) load();
}

/** It does not come: its place says which it is. */
function missing(event) {
  event.target.alt = event.target.parentElement?.getAttribute('aria-label') ?? '';
  came(event);
}

/** Takes a cell from its place, to be filled anew. */
function release(place, cell) {
  // Without it the focus, and with it the arrows, would be lost.
  if (cell === document.activeElement) grid.focus({ preventScroll: true });
  // What is not seen is not waited for.
  cell.firstChild.removeAttribute('src');
  asked.delete(cell.firstChild);
  cells.delete(place);
  return cell;
}

/** An empty cell: an image and its caption. */
function make() {
  const cell = document.createElement('a');
  const image = document.createElement('img');
  image.width = 96;
  image.height = 96;
  image.decoding = 'async';
  image.addEventListener('load', came);
  image.addEventListener('error', missing);
  cell.append(image, document.createElement('span'));
  return cell;
}

/** Puts an image into a cell. */
function fill(cell, place) {
  const row = rows[place];
  const [is, taken] = [names.classes[label(row)], names.classes[prediction(row)]];
  cell.href = `/image/${row}`;
  cell.className = label(row) === prediction(row) ? 'cell right' : 'cell wrong';
  cell.tabIndex = place === focused ? 0 : -1;
  cell.dataset.place = place;
  cell.style.transform = `translate(${(place % columns) * CELL}px, ${Math.floor(place / columns) * HEIGHT}px)`;
  const [image, caption] = cell.children;
  image.dataset.src = `/thumbnail/${row}?${grid.dataset.key}`;
  const of = group(row) === NO_GROUP ? '' : `, group ${names.groups[group(row)]}`;
  const text = fixed === undefined && is !== taken ? `${is} → ${taken}` : taken;
  // The link's name, and not the image's: that of each image which has not come would be drawn in its place. It begins
  // with what is seen.
  cell.setAttribute('aria-label', `${text}: image ${row}, of ${is}, taken for ${is === taken ? 'it' : taken}${of}`);
  image.alt = '';
  caption.textContent = text;
  cells.set(place, cell);
  return cell;
}

function mark() {
  for (const [place, cell] of cells) {
    const tabIndex = place === focused ? 0 : -1;
    if (cell.tabIndex !== tabIndex) cell.tabIndex = tabIndex;
  }
}

function go(place) {
  focused = Math.max(0, Math.min(rows.length - 1, place));
  const top = Math.floor(focused / columns) * HEIGHT;
  if (top < grid.scrollTop) grid.scrollTop = top;
  if (top + HEIGHT > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + HEIGHT - grid.clientHeight;
  draw();
  cells.get(focused)?.focus({ preventScroll: true });
}

const dialog = document.querySelector('#image');
async function open(place) {
  focused = place;
  await fragment(`/image/${rows[place]}/about`, document.querySelector('#image-about'));
  if (!dialog.open) dialog.showModal();
}

const page = () => Math.max(1, Math.floor(grid.clientHeight / HEIGHT)) * columns;
const steps = {
  ArrowRight: () => 1,
  ArrowLeft: () => -1,
  ArrowDown: () => columns,
  ArrowUp: () => -columns,
  PageDown: page,
  PageUp: () => -page(),
  Home: () => -Infinity,
  End: () => Infinity,
};

grid.addEventListener('keydown', (event) => {
  const step = steps[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey || rows.length === 0) return;
  event.preventDefault();
  const inside = document.activeElement !== grid;
  go(inside ? focused + step() : focused);
});
grid.addEventListener('focusin', (event) => {
  const place = event.target.dataset?.place;
  if (place !== undefined) {
    focused = Number(place);
    mark();
  }
});
grid.addEventListener('click', (event) => {
  const cell = event.target.closest('.cell');
  if (!cell || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  open(Number(cell.dataset.place));
});
dialog.addEventListener('close', () => go(focused));
dialog.addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step && rows[focused + step] !== undefined) {
    event.preventDefault();
    open(focused + step);
  }
});

let waiting = false;
grid.addEventListener('scroll', () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
});
new ResizeObserver(layout).observe(grid);

form.addEventListener('change', () => {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
  // Without it, a class's page begins with the mistakes.
  if (fixed !== undefined && !query.has('only')) query.set('only', 'all');
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
  filter();
});
form.addEventListener('submit', (event) => event.preventDefault());
document.querySelector('#class-select')?.addEventListener('change', (event) => location.assign(event.target.value));
keys({
  f: ['to the filters', () => form.querySelector('select').focus()],
  '/': ['to the grid', () => go(focused)],
});

try {
  const response = await fetch('/samples');
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  samples = new Uint32Array(await response.arrayBuffer());
  filter();
} catch (error) {
  complain(sheet, error);
}
