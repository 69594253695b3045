// SPDX-License-Identifier: Apache-2.0
// Open-loop search for the rate that still holds: steps of a fixed arrival rate, each twice the one before. The
// thresholds are per step; the first that is missed is past saturation, and the run ends there.
//
//     k6 run -e INFER_URL=... -e FIRST=10 -e STEPS=8 -e SECONDS=20 k6/saturation.js
import { learn, number, phrases, summaryTrendStats, twoPhrases } from './infer.js';

export { handleSummary } from './infer.js';

const first = number('FIRST', 10);
const steps = number('STEPS', 8);
const seconds = number('SECONDS', 20);
const p95 = number('P95_MS', 800);
const scenarios = {};
const thresholds = { failed_body: ['count<1'] };
for (let i = 0; i < steps; i += 1) {
  const rate = first * 2 ** i;
  const name = `rate_${rate}`;
  const start = i * (seconds + 5);
  scenarios[name] = {
    executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`, startTime: `${start}s`,
    preAllocatedVUs: Math.min(1000, Math.max(20, rate)), maxVUs: 1000, gracefulStop: '5s',
  };
  // judged once the step has run for a while, and only then reason to end the run
  const rule = (threshold) => [{ threshold, abortOnFail: true, delayAbortEval: `${start + seconds / 2}s` }];
  thresholds[`http_req_duration{scenario:${name}}`] = rule(`p(95)<${p95}`);
  thresholds[`http_req_failed{scenario:${name}}`] = rule('rate<0.01');
}

export const options = { summaryTrendStats, scenarios, thresholds };

export const setup = () => learn(phrases);

export default function (own) {
  twoPhrases(own);
}
