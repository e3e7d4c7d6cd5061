// Shows the page that was asked for as soon as the features of the images are there, or why there will be none.

import { complain, post } from './studio.js';

const again = document.querySelector('#features');
const ENDED = ['finished', 'failed', 'cancelled'];
const isOfFeatures = (job) => job.of_features;
let heard = false; // Of one that was under way.

/** The server says what there is: the page, that it is to be waited for, or why it is not. */
function look(job) {
  if (!job || !isOfFeatures(job)) return;
  heard = !ENDED.includes(job.state);
  const made = document.querySelector('#features-made');
  if (made && job.total > 0) {
    made.max = job.total;
    made.value = job.done;
    document.querySelector('#stage').textContent = `${job.stage}, ${job.done} of ${job.total}`;
  }
  if (job.state === 'finished' || ENDED.includes(job.state) !== Boolean(again)) location.reload();
}

document.addEventListener('job', ({ detail: job }) => look(job));
// The last one is this server's: those before it are of earlier ones.
document.addEventListener('jobs', ({ detail: jobs }) => {
  const job = jobs.filter(isOfFeatures).at(-1);
  // It has ended and was taken off the list: the server says what there is.
  if (!job && heard) location.reload();
  else look(job);
});

again?.addEventListener('click', async () => {
  try {
    await post('/features');
  } catch (error) {
    complain(again.parentElement, error);
  }
});
