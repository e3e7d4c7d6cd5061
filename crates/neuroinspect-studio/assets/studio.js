// What every page needs: requests, keys, and a word when the server does not answer.

const AWAY = 'The server does not answer. Is the program still running?';

/** The status of a server that has begun and cannot answer yet. */
export const NOT_READY = 503;

/** An answer; where there is none, an error that says so and has no status. */
async function answer(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw Object.assign(new Error(AWAY), { away: true });
  }
}

/** Sends JSON and hands back JSON; fails with the reason that the server gives, and with its status. */
export async function post(path, body = {}, signal = undefined) {
  const response = await answer(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok) throw Object.assign(new Error(await reason(response)), { status: response.status });
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/**
 * Puts HTML of the server into an element; of two requests for one element the later holds. Whether it is there: what a
 * server that is away, or not ready, did not answer is asked for again when it is back, or ready.
 */
export async function fragment(path, element) {
  pending.get(element)?.abort();
  missed.delete(element);
  const control = new AbortController();
  pending.set(element, control);
  element.setAttribute('aria-busy', 'true');
  try {
    const response = await answer(path, { signal: control.signal });
    if (!response.ok) throw Object.assign(new Error(await reason(response)), { away: response.status === NOT_READY });
    const html = await response.text();
    if (pending.get(element) !== control) return false;
    element.innerHTML = html;
    return true;
  } catch (error) {
    if (pending.get(element) === control) {
      complain(element, error);
      if (error.away) missed.set(element, path);
    }
    return false;
  } finally {
    if (pending.get(element) === control) element.removeAttribute('aria-busy');
  }
}
const missed = new Map();

/** Asks again for what was not answered. */
export function askAgain() {
  for (const [element, path] of [...missed]) if (element.isConnected) fragment(path, element);
}
window.addEventListener('pageshow', (event) => {
  if (event.persisted) askAgain();
});

const pending = new Map();

/** Puts nodes into an element, in place of what is still asked for. */
export function replace(element, ...nodes) {
  pending.get(element)?.abort();
  pending.delete(element);
  missed.delete(element);
  element.removeAttribute('aria-busy');
  element.replaceChildren(...nodes);
}

/** Says within an element what went wrong. */
export function complain(element, error) {
  const line = document.createElement('p');
  line.setAttribute('role', 'alert');
  line.className = 'failure';
  line.textContent = error.message;
  replace(element, line);
}

/** The reason of a refusal: the server's page says it in its one alert. */
async function reason(response) {
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, 'text/html');
  return page.querySelector('[role=alert]')?.textContent ?? (text || `the server answers ${response.status}`);
}

/** Adds keys of a page to the list of keys, and does what they stand for. */
export function keys(more) {
  const list = document.querySelector('#keys dl');
  for (const [key, [what, action]] of Object.entries(more)) {
    const term = document.createElement('dt');
    term.append(Object.assign(document.createElement('kbd'), { textContent: key }));
    list.append(term, Object.assign(document.createElement('dd'), { textContent: what }));
    actions.set(key, action);
  }
}
const actions = new Map();

const dialog = document.querySelector('#keys');
let before = '';

function toggleKeys() {
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

document.addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input:not([type=checkbox], [type=radio], [type=range]), select, textarea, [contenteditable]');
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const { key } = event;
  const follows = before;
  before = key;
  const place = follows === 'g' && document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  if (key === '?') {
    event.preventDefault();
    toggleKeys();
  } else if (place) {
    place.click();
  } else if (!dialog.open && follows !== 'g') {
    const action = actions.get(key);
    if (action) {
      event.preventDefault();
      action();
    }
  }
});
document.querySelector('#keys-button').addEventListener('click', toggleKeys);

// Parts of a page that take a moment are asked for once it is there; those of a page's work come with it.
for (const part of document.querySelectorAll('[data-fragment]:not([data-page])')) fragment(part.dataset.fragment, part);
