// SPDX-License-Identifier: Apache-2.0
// One rate for a long time: what leaks, drifts or is restarted shows. The last tenth is judged by itself too.
//
//     k6 run -e INFER_URL=... -e RATE=30 -e MINUTES=60 k6/soak.js
import { learn, number, phrases, summaryTrendStats, thresholds, twoPhrases } from './infer.js';

export { handleSummary } from './infer.js';

const rate = number('RATE', 30);
const seconds = Math.max(10, Math.round(60 * number('MINUTES', 60)));
const last = Math.max(1, Math.round(seconds / 10));

function phase(start, duration) {
  return {
    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${duration}s`, startTime: `${start}s`,
    preAllocatedVUs: 50, maxVUs: 200, gracefulStop: '10s',
  };
}

export const options = {
  summaryTrendStats,
  scenarios: { soak: phase(0, seconds - last), last: phase(seconds - last, last) },
  thresholds: {
    ...thresholds,
    http_req_failed: [`rate<${number('FAILED_RATE', 0.0001)}`],
    'http_req_duration{scenario:last}': [`p(95)<${number('P95_MS', 800)}`],
    dropped_iterations: ['count<1'],
  },
};

export const setup = () => learn(phrases);

export default function (own) {
  twoPhrases(own);
}
