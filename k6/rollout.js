// SPDX-License-Identifier: Apache-2.0
// A steady load for as long as a rollout takes: start it, change the model, the image or the replicas, and let it
// end. Nothing may be lost. RETRIES=1 is a client that tries once more, as clients should: what the server itself
// lost is then in failed_*, and what a user would have seen in lost.
//
//     k6 run -e INFER_URL=... -e RATE=50 -e SECONDS=180 k6/rollout.js
import { Counter } from 'k6/metrics';
import { learn, number, phrases, pick, post, summaryTrendStats, thresholds, verify } from './infer.js';

export { handleSummary } from './infer.js';

const retries = number('RETRIES', 0);
const lost = new Counter('lost');

export const options = {
  summaryTrendStats,
  scenarios: {
    rollout: {
      executor: 'constant-arrival-rate', rate: number('RATE', 50), timeUnit: '1s', duration: `${number('SECONDS', 180)}s`,
      preAllocatedVUs: 50, maxVUs: 200, gracefulStop: '30s',
    },
  },
  thresholds: { ...thresholds, lost: ['count<1'], dropped_iterations: ['count<1'] },
};

// A rollout changes the model: then only the labels' shape can be asserted. SAME_MODEL=0 says so.
const sameModel = (__ENV.SAME_MODEL || '1') !== '0';

export const setup = () => learn(phrases);

function shaped(answer, count) {
  if (answer.status !== 200) {
    return false;
  }
  const found = answer.json();
  return Array.isArray(found) && found.length === count && found.every((r) => r.label && r.confidence > 0);
}

export default function (own) {
  const texts = pick(phrases, 2);
  for (let attempt = 0; attempt <= retries; attempt += 1) {
    const answer = post(texts, '10s');
    if (sameModel || answer.status !== 200 ? verify(answer, texts, own) : shaped(answer, texts.length)) {
      return;
    }
  }
  lost.add(1);
}
