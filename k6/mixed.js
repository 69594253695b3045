// SPDX-License-Identifier: Apache-2.0
// Sentences of all lengths, 1 to 8 a request: what batching and padding cost shows here, not with short phrases.
// TEXTS names a file of one text a line; without it, the development set of SST-2 that this repository carries
// (models/eval: a header, then label, tab, sentence).
//
//     k6 run -e INFER_URL=... -e RATE=20 -e SECONDS=60 k6/mixed.js
import { SharedArray } from 'k6/data';
import { learn, number, pick, post, summaryTrendStats, thresholds, verify } from './infer.js';

export { handleSummary } from './infer.js';

const file = __ENV.TEXTS || '../models/eval/sst2-dev.tsv';
const kept = number('SENTENCES', 200); // each is asked once alone, before the load
const texts = new SharedArray('texts', () => {
  const lines = open(file).split('\n').filter((line) => line.trim().length > 0);
  const table = lines.length > 0 && lines[0].indexOf('\t') >= 0;
  return lines.slice(table ? 1 : 0).map((line) => line.split('\t').pop().trim()).slice(0, kept);
});

export const options = {
  summaryTrendStats,
  setupTimeout: '300s',
  scenarios: {
    mixed: {
      executor: 'constant-arrival-rate', rate: number('RATE', 20), timeUnit: '1s', duration: `${number('SECONDS', 60)}s`,
      preAllocatedVUs: 50, maxVUs: 200, gracefulStop: '30s',
    },
  },
  thresholds: { ...thresholds, dropped_iterations: ['count<1'] },
};

export const setup = () => learn(texts);

export default function (own) {
  const chosen = pick(texts, 1 + Math.floor(Math.random() * 8));
  verify(post(chosen), chosen, own);
}
