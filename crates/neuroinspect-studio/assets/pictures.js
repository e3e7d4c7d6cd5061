// Orders of pictures and words, and what comes of them while it comes.

import { last } from './jobs.js';
import { fragment, keys, post } from './studio.js';

/** What a form says: boxes that are ticked as lists, empty numbers as null. */
function said(form) {
  const values = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    const number = 'number' in field.dataset;
    const value = number ? (field.value === '' ? null : Number(field.value)) : field.value;
    if (field.type === 'checkbox') {
      values[field.name] ??= [];
      if (field.checked) values[field.name].push(value);
    } else {
      values[field.name] = value;
    }
  }
  return values;
}

for (const form of document.querySelectorAll('form[data-post]')) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const failure = form.querySelector('.failure');
    failure.hidden = true;
    const values = said(form);
    if ('address' in form.dataset) {
      const filled = Object.entries(values).filter(([, value]) => value !== null);
      history.replaceState(null, '', `?${new URLSearchParams(filled)}`);
    }
    try {
      await post(form.dataset.post, values);
    } catch (error) {
      failure.textContent = error.message;
      failure.hidden = false;
    }
  });
}

/** A button that fills a field. */
document.addEventListener('click', ({ target }) => {
  const button = target.closest('[data-fill]');
  if (button) button.form.elements[button.dataset.fill].value = button.value;
});

document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-cancel]');
  if (!button) return;
  button.disabled = true;
  try {
    await post(`/jobs/${button.dataset.cancel}/cancel`);
  } catch {
    button.disabled = false;
  }
});

const parts = [...document.querySelectorAll('[data-fragment]')];
const seen = new Map();
const waiting = new Set();

/** Fetches a part again, once for all that happens within a moment; what had the focus has it again. */
function refresh(part) {
  if (waiting.has(part)) return;
  waiting.add(part);
  setTimeout(async () => {
    waiting.delete(part);
    const key = part.contains(document.activeElement) && document.activeElement.dataset.key;
    await fragment(part.dataset.fragment, part);
    if (key) part.querySelector(`[data-key="${key}"]`)?.focus();
  }, 50);
}

document.addEventListener('job', ({ detail: job }) => {
  for (const progress of document.querySelectorAll(`progress[data-job="${job.id}"]`)) {
    progress.max = Math.max(job.total, 1);
    progress.value = job.done;
  }
  const stands = `${job.state} ${job.made}`;
  if (seen.get(job.id) === stands) return;
  seen.set(job.id, stands);
  parts.filter((part) => concerns(job, part)).forEach(refresh);
});

const concerns = (job, part) => part.dataset.page === '*' || part.dataset.page === job.page;

// What happened after the server wrote a part and before the page's first event, or during a break, is not told of job by
// job. While work is under way a part is therefore fetched once more, as a rule.
document.addEventListener('jobs', ({ detail: jobs }) => {
  for (const job of jobs) seen.set(job.id, `${job.state} ${job.made}`);
  parts.filter((part) => part.dataset.seen !== last).forEach(refresh);
});

/** Moves the focus through a gallery as its tiles stand. */
document.addEventListener('keydown', (event) => {
  const gallery = event.target.closest?.('.gallery');
  if (!gallery || event.ctrlKey || event.metaKey || event.altKey) return;
  const tiles = [...gallery.children].map((tile) => (tile.tabIndex >= 0 ? tile : tile.querySelector('a'))).filter(Boolean);
  const here = tiles.findIndex((tile) => tile.contains(event.target));
  const top = (tile) => Math.round(tile.getBoundingClientRect().top);
  const inRow = tiles.filter((tile) => top(tile) === top(tiles[0])).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -inRow, ArrowDown: inRow }[event.key];
  if (here < 0 || !step || !tiles[here + step]) return;
  event.preventDefault();
  tiles[here + step].focus();
});

const link = (rel) => document.querySelector(`.steps a[rel=${rel}]`);
if (link('prev') || link('next')) {
  keys({
    p: ['previous neuron', () => link('prev')?.click()],
    n: ['next neuron', () => link('next')?.click()],
  });
}
