// What is set in the form stands in the address; each change shows what silencing would do, and then the edit.
import { NOT_READY, post, fragment, complain, keys, replace } from './studio.js';
import { ENDED, known } from './jobs.js';

const form = document.querySelector('#mend');
const element = (id) => document.querySelector(id);
const [neuronList, editResult, status, previewResult, keptResult, compareResult, moreResult] = [
  '#neurons', '#edit-result', '#edit-status', '#preview-result', '#kept-result', '#compare-result', '#more-result',
].map(element);
const ratio = element('#ratio-options');
const strength = element('#strength');
const undo = element('#undo');
const SWEEP = [0.001, 0.01, 0.1, 0.3, 1, 3];
const OWN = ['neuron', 'others', 'a', 'b'];
const MAY_BE_OPEN = ['class', 'target']; // Said also where they are empty: left out they are as the studio was opened with.

let ticked = new Set(numbers(new URLSearchParams(location.search).get('neurons') ?? ''));
let begun = new URLSearchParams(location.search).has('neurons'); // Whether it was said which neurons are ticked.
let offered = null; // The class whose neurons are offered, and whether they are there.
let now = null; // The edit that is shown.
let sweep = [];
let training = new AbortController();
let unanswered = false; // Whether the server did not answer the last time.
let pair = {}; // The two that are compared.

function numbers(text) {
  return text.split(/[\s,]+/).filter((word) => /^\d+$/.test(word)).map(Number);
}

function query() {
  const params = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if ((value !== '' || MAY_BE_OPEN.includes(name)) && !OWN.includes(name)) params.set(name, value);
  if (begun) params.set('neurons', [...ticked].join(','));
  return params;
}

/** Sets the form to what an address says. */
function set(params) {
  for (const input of form.elements) {
    if (!input.name || OWN.includes(input.name)) continue;
    if (params.has(input.name)) input.value = params.get(input.name);
  }
  begun = params.has('neurons');
  ticked = new Set(numbers(params.get('neurons') ?? ''));
  showTicks();
}

/** Boxes for those offered, and the text for the others. */
function showTicks() {
  const boxes = [...neuronList.querySelectorAll('input[name=neuron]')];
  const known = new Set(boxes.map((box) => Number(box.value)));
  for (const box of boxes) box.checked = ticked.has(Number(box.value));
  form.elements.others.value = [...ticked].filter((neuron) => !known.has(neuron)).join(', ');
}

function readTicks() {
  const boxes = [...neuronList.querySelectorAll('input[name=neuron]:checked')];
  ticked = new Set([...boxes.map((box) => Number(box.value)), ...numbers(form.elements.others.value)]);
}

function showOptions() {
  const method = form.elements.method.value;
  ratio.hidden = method !== 'probability_ratio';
  element('#sweep').hidden = ratio.hidden;
  form.querySelector('.of-ratio').hidden = ratio.hidden;
  for (const note of form.querySelectorAll('[data-method]')) note.hidden = note.dataset.method !== method;
  const lambda = Number(form.elements.lambda.value);
  if (lambda > 0) strength.value = Math.log10(lambda);
  undo.disabled = !(history.state?.depth > 0);
}

/** Offers the neurons of the class that is chosen; whether they are there, and it is still the one. */
function offer() {
  const chosen = form.elements.class.value;
  if (offered?.of === chosen) return offered.there;
  const asked = { of: chosen };
  const params = new URLSearchParams();
  if (chosen !== '') params.set('class', chosen);
  const epochs = form.elements.epochs.value;
  if (epochs !== '') params.set('epochs', epochs);
  asked.there = fragment(`/mend/neurons?${params}`, neuronList).then((there) => {
    const holds = there && offered === asked;
    if (!there && offered === asked) offered = null;
    showTicks();
    return holds;
  });
  offered = asked;
  return asked.there;
}

/** The name of the edit that is asked for. A long training is a job, whose end is waited for. */
async function trained(params, signal, hasFirst = false) {
  for (;;) {
    const answer = await post(`/mend/try?${params}`, {}, signal);
    if (answer.id !== undefined) return answer.id;
    const long = 'goes on as work in the background, whether this page is open or not.';
    if (hasFirst) status.append(` The training on all samples ${long}`);
    else status.textContent = `This training takes longer: it ${long}`;
    await ended(answer.job, signal);
  }
}

/** Waits until a job has ended; whoever asks for something else cancels it. */
function ended(id, signal) {
  const control = new AbortController();
  const listening = { signal: control.signal };
  return new Promise((resolve, reject) => {
    const look = () => {
      const job = known.get(id);
      if (job?.state === 'finished') resolve();
      else if (job && ENDED[job.state]) reject(Object.assign(new Error(job.note ?? `This training was ${job.state}.`), { status: 200 }));
    };
    document.addEventListener('job', look, listening);
    document.addEventListener('jobs', () => (known.has(id) ? look() : resolve()), listening);
    signal?.addEventListener('abort', () => {
      post(`/jobs/${id}/cancel`).catch(() => {});
      reject(signal.reason);
    }, listening);
    look();
  }).finally(() => control.abort());
}

function needs() {
  return form.elements.method.selectedOptions[0]?.dataset.needs.split(' ') ?? [];
}

/** What is to be set yet before there is an edit. */
function lacks() {
  if (needs().includes('neurons') && ticked.size === 0) return 'Tick a neuron: what an edit of it does stands here.';
  if (needs().includes('class') && form.elements.class.value === '') return 'This method is about one class: choose it.';
  return null;
}

/** Shows no edit, and what is to be set for one. */
function wait(hint) {
  now = null;
  status.textContent = '';
  const line = document.createElement('p');
  line.className = 'soft';
  line.textContent = hint;
  replace(editResult, line);
  replace(moreResult);
  showKept();
}

/** Asks anew for all that the form decides. */
async function ask() {
  showOptions();
  const params = query();
  const start = performance.now();
  fragment(`/mend/preview?${params}`, previewResult).then(() => {
    performance.measure('mend-preview', { start, end: performance.now() });
  });
  training.abort();
  training = new AbortController();
  const { signal } = training;
  unanswered = false;
  const hint = lacks();
  if (hint !== null) {
    wait(hint);
    return;
  }
  status.textContent = 'Training …';
  editResult.setAttribute('aria-busy', 'true');
  const show = async (id, name, answered) => {
    await fragment(`/mend/edit/${id}`, editResult);
    if (signal.aborted) return;
    now = id;
    const took = performance.now() - start;
    performance.measure(name, { start, end: start + took });
    const headline = element('#headline')?.textContent ?? '';
    // Seen, the verdict stands below.
    const heard = document.createElement('span');
    heard.className = 'hidden';
    heard.textContent = `${headline}. `;
    status.replaceChildren(heard, `${answered} ${took < 1000 ? `${Math.round(took)} ms` : `${(took / 1000).toFixed(1)} s`}.`);
    showParts();
    showKept();
  };
  try {
    // What takes long on all samples is shown on a part of them first. Whatever becomes of that, it keeps nobody from the edit.
    const { id: first } = await post(`/mend/first?${params}`, {}, signal).catch((error) => {
      if (signal.aborted) throw error;
      return {};
    });
    if (first !== undefined) await show(first, 'mend-first', 'A first answer after');
    const id = await trained(params, signal, first !== undefined);
    await show(id, 'mend-edit', 'Answered in');
  } catch (error) {
    if (error.name === 'AbortError') return;
    unanswered = error.status === undefined || error.status === NOT_READY;
    now = null;
    status.textContent = '';
    complain(editResult, error);
    replace(moreResult);
    showKept();
  } finally {
    if (!signal.aborted) editResult.removeAttribute('aria-busy');
  }
}

/** What of the edit takes a moment more: what turns over, and what chose its neurons. */
async function showParts() {
  const of = now;
  const more = fragment(`/mend/edit/${of}/more`, moreResult);
  const parts = (of) => Promise.all([...of.querySelectorAll('[data-fragment]')].map((part) => fragment(part.dataset.fragment, part)));
  await Promise.all([parts(editResult), more.then(() => parts(moreResult))]);
}

async function showKept() {
  const params = new URLSearchParams({ sweep: sweep.join(',') });
  if (now !== null) params.set('now', now);
  await fragment(`/mend/kept?${params}`, keptResult);
  for (const [side, id] of Object.entries(pair)) {
    const choice = keptResult.querySelector(`input[name=${side}][value="${id}"]`);
    if (choice) choice.checked = true;
  }
}

/** Notes a change in the address: going back undoes it. */
function change() {
  begun = true;
  history.pushState({ depth: (history.state?.depth ?? 0) + 1 }, '', `/mend?${query()}`);
  sweep = [];
  ask();
}

form.addEventListener('change', (event) => {
  const { target } = event;
  if (['neuron', 'others'].includes(target.name)) readTicks();
  if (target === strength) form.elements.lambda.value = Number((10 ** strength.value).toPrecision(2));
  if (!form.checkValidity()) {
    form.reportValidity();
    return;
  }
  change();
  if (target.name === 'class') offer();
});
form.addEventListener('submit', (event) => event.preventDefault());
window.addEventListener('popstate', () => {
  sweep = [];
  training.abort();
  set(new URLSearchParams(location.search));
  begin();
});
undo.addEventListener('click', () => history.back());
form.addEventListener('click', ({ target }) => {
  if (!target.dataset.tick) return;
  const boxes = [...neuronList.querySelectorAll('input[name=neuron]')].slice(0, target.dataset.tick);
  if (boxes.length === 0) return;
  ticked = new Set(boxes.map((box) => Number(box.value)));
  showTicks();
  change();
});
element('#none').addEventListener('click', () => {
  ticked.clear();
  showTicks();
  change();
});
element('#sweep').addEventListener('click', async ({ target }) => {
  target.disabled = true;
  const title = target.textContent;
  const params = query();
  const own = [];
  sweep = own;
  try {
    for (const lambda of SWEEP) {
      // Something else is asked for by now.
      if (sweep !== own) return;
      params.set('lambda', lambda);
      target.textContent = `λ ${lambda}: ${own.length + 1} of ${SWEEP.length} …`;
      own.push(await trained(params));
      if (sweep !== own) return;
      await showKept();
      if (sweep !== own) return;
      // Where they are drawn is far below.
      if (own.length === 1) element('#kept').scrollIntoView({ block: 'nearest' });
    }
  } catch (error) {
    complain(keptResult, error);
  } finally {
    target.disabled = false;
    target.textContent = title;
  }
});
/** Keeps an edit, or no longer; all tabs are told by an event. */
async function keep(id, keep) {
  try {
    await post(`/mend/edit/${id}/keep`, { keep });
  } catch (error) {
    status.textContent = error.message;
  }
}
editResult.addEventListener('click', ({ target }) => {
  if (target.id === 'keep') keep(target.dataset.id, target.getAttribute('aria-pressed') !== 'true');
  if (target.id === 'all-epochs') {
    form.elements.epochs.value = target.dataset.epochs;
    change();
    // The button goes with the edit that it stood under.
    status.tabIndex = -1;
    status.focus();
  }
});
keptResult.addEventListener('click', ({ target }) => {
  if (target.classList.contains('forget')) keep(target.dataset.id, false);
});
document.addEventListener('job', ({ detail: job }) => {
  if (unanswered && job.of_features && job.state === 'finished') ask();
});
// Whoever keeps one, in this tab or another, changes what is shown of them.
for (const event of ['edits', 'jobs']) {
  document.addEventListener(event, async () => {
    // The server was away, or is another one: what it did not answer is asked again.
    if (event === 'jobs' && unanswered) ask();
    if (event === 'jobs' && begun) offer();
    else if (event === 'jobs') begin();
    await showKept();
    if (now === null) return;
    const kept = keptResult.querySelector(`.forget[data-id="${now}"]`) !== null;
    const button = element('#keep');
    button?.setAttribute('aria-pressed', kept);
    if (button) button.textContent = kept ? 'Kept' : 'Keep to compare';
  });
}
keptResult.addEventListener('change', ({ target }) => {
  if (target.type !== 'radio') return;
  pair = Object.fromEntries(new FormData(target.form));
  const { a, b } = pair;
  if (a && b) fragment(`/mend/compare?a=${a}&b=${b}`, compareResult);
});
keys({
  u: ['undo the last change of the edit', () => undo.click()],
  k: ['keep the edit, or no longer', () => element('#keep')?.click()],
  t: ['to the neurons that can be ticked', () => form.querySelector('input[name=neuron]')?.focus()],
});

/** Shows what the address asks. Where it names no neurons, those that an edit begins with are ticked once they are known. */
async function begin() {
  if (!needs().includes('neurons')) begun = true;
  // The address says the rest, also where it said little: what follows can be sent.
  const say = () => history.replaceState({ depth: history.state?.depth ?? 0 }, '', `/mend?${query()}`);
  say();
  showTicks();
  const offering = offer();
  if (!begun) {
    status.textContent = 'Looking for the neurons behind the mistakes …';
    const there = await offering;
    // Something was set by now.
    if (begun) return;
    const first = numbers(neuronList.querySelector('[data-ticked]')?.dataset.ticked ?? '');
    if (there && first.length > 0) {
      ticked = new Set(first);
      begun = true;
      showTicks();
      say();
    }
  }
  ask();
}

begin();
