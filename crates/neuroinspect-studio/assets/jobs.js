// The panel of work in the background, filled and kept up to date by the server's events.
//
// On every change `document` hears of 'job' (detail: the job), and of 'jobs' (detail: all of them) when the page is
// new or came back after more than a short break; of 'edits' when the list of kept edits has changed.

import { askAgain, post } from './studio.js';

const panel = document.querySelector('#jobs');
const list = panel.querySelector('ol');
const template = panel.querySelector('template');
const summary = panel.querySelector('summary');
const spoken = panel.querySelector('.spoken');
const connection = document.querySelector('#connection');
const away = connection.textContent;
const items = new Map();
/** All jobs by their ids. */
export const known = new Map();
/** The last event that was heard of. */
export let last = '';

export const ENDED = { finished: 'finished', cancelled: 'cancelled', failed: 'failed' };

function stateOf(job) {
  if (ENDED[job.state]) return ENDED[job.state];
  if (job.state === 'queued') return 'queued';
  if (job.state === 'stopping') return 'stopping';
  return job.total > 0 ? `${job.stage}, ${job.done} of ${job.total}` : 'begins';
}

function draw(job) {
  let item = items.get(job.id);
  if (!item) {
    item = template.content.firstElementChild.cloneNode(true);
    item.querySelector('.cancel').addEventListener('click', () => ask(`/jobs/${job.id}/cancel`));
    items.set(job.id, item);
    list.prepend(item);
  }
  const link = item.querySelector('a');
  link.textContent = job.title;
  link.href = job.page;
  item.dataset.state = job.state;
  item.querySelector('.state').textContent = stateOf(job);
  item.querySelector('.note').textContent = job.note ?? '';
  const progress = item.querySelector('progress');
  progress.setAttribute('aria-label', `progress of ${job.title}`);
  progress.hidden = job.state !== 'running' && job.state !== 'stopping';
  progress.max = Math.max(job.total, 1);
  progress.value = job.done;
  const cancel = item.querySelector('.cancel');
  cancel.setAttribute('aria-label', `Cancel ${job.title}`);
  cancel.hidden = Boolean(ENDED[job.state]) || job.state === 'stopping';
}

function count() {
  const open = [...known.values()].filter((job) => !ENDED[job.state]).length;
  panel.hidden = known.size === 0;
  panel.toggleAttribute('data-idle', open === 0);
  summary.textContent = open === 0 ? 'Nothing under way' : `${open} under way or queued`;
  panel.querySelector('.forget').hidden = open === known.size;
}

async function ask(path) {
  try {
    await post(path);
  } catch (error) {
    spoken.textContent = error.message;
  }
}

function hear(job) {
  const before = known.get(job.id);
  known.set(job.id, job);
  draw(job);
  count();
  if (before && before.state !== job.state && ENDED[job.state]) {
    spoken.textContent = `${job.title}: ${ENDED[job.state]}`;
  }
  document.dispatchEvent(new CustomEvent('job', { detail: job }));
  // With the features there the server answers what it had to put off.
  if (job.of_features && job.state === 'finished') askAgain();
}

function hearAll(jobs) {
  known.clear();
  items.clear();
  list.replaceChildren();
  for (const job of jobs) {
    known.set(job.id, job);
    draw(job);
  }
  count();
  document.dispatchEvent(new CustomEvent('jobs', { detail: jobs }));
}

let source = null;

function connect() {
  source?.close();
  source = new EventSource(`/jobs/events?after=${encodeURIComponent(last)}`);
  const listen = (name, then) => source.addEventListener(name, (event) => {
    last = event.lastEventId;
    then(JSON.parse(event.data));
  });
  listen('job', hear);
  listen('jobs', hearAll);
  listen('edits', () => document.dispatchEvent(new CustomEvent('edits')));
  source.addEventListener('open', () => {
    connection.hidden = true;
    connection.textContent = away;
    askAgain();
  });
  source.addEventListener('error', async () => {
    connection.hidden = false;
    // The browser asks again by itself, unless it was given an answer that is none.
    if (source.readyState !== EventSource.CLOSED) return;
    const status = await fetch('/jobs/events', { method: 'HEAD' }).then((answer) => answer.status, () => 0);
    connection.textContent = status === 401
      ? 'The server does not know this page: open the address that the program printed.' : away;
    setTimeout(follow, 1000);
  });
}

// A browser has six connections to a server for all its tabs: a page that nobody sees keeps none, and catches up
// when it is seen again.
function follow() {
  if (document.visibilityState === 'visible') connect();
  else source?.close();
}

document.addEventListener('visibilitychange', follow);
addEventListener('pagehide', () => source?.close());
addEventListener('pageshow', (event) => {
  if (event.persisted) follow();
});
// Open or closed, it is so on the next page, too.
const details = panel.querySelector('details');
details.open = sessionStorage.getItem('jobs') === 'open';
details.addEventListener('toggle', () => sessionStorage.setItem('jobs', details.open ? 'open' : 'closed'));
panel.querySelector('.forget').addEventListener('click', () => ask('/jobs/forget'));
follow();
