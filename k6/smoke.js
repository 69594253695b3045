// SPDX-License-Identifier: Apache-2.0
// The load of the showcase as it was: an open arrival rate that climbs, two of eight phrases a request, at most 200
// virtual users. PROFILE=external climbs from 1 to 10, 30 and 60 requests per second, internal to 5, 10 and 15.
//
//     k6 run -e INFER_URL=http://127.0.0.1:8080/infer -e PROFILE=external -e STAGE=2m k6/smoke.js
import { learn, phrases, summaryTrendStats, thresholds, twoPhrases } from './infer.js';

export { handleSummary } from './infer.js';

const stage = __ENV.STAGE || '2m';
const profile = __ENV.PROFILE || 'external';
const profiles = { external: [10, 30, 60], internal: [5, 10, 15] };
if (!profiles[profile]) {
  throw new Error(`PROFILE is ${profile}; there are ${Object.keys(profiles).join(', ')}`);
}

export const options = {
  summaryTrendStats,
  scenarios: {
    ramp: {
      executor: 'ramping-arrival-rate',
      startRate: 1,
      timeUnit: '1s',
      preAllocatedVUs: 20,
      maxVUs: 200,
      stages: profiles[profile].map((target) => ({ target, duration: stage })),
      gracefulStop: '30s',
    },
  },
  thresholds,
};

export const setup = () => learn(phrases);

export default function (own) {
  twoPhrases(own);
}
