// SPDX-License-Identifier: Apache-2.0
// Calm, ten times that at once, calm again. In the spike the server may refuse (429, 503): what it answers must be
// right, and afterwards it must be as fast as before.
//
//     k6 run -e INFER_URL=... -e RATE=20 -e TIMES=10 -e SECONDS=30 k6/spike.js
import { learn, number, phrases, summaryTrendStats, twoPhrases } from './infer.js';

export { handleSummary } from './infer.js';

const rate = number('RATE', 20);
const seconds = number('SECONDS', 30);
const recovery = number('RECOVERY_SECONDS', 5); // given to empty the queues before it is judged
const p95 = number('P95_MS', 800);

function phase(start, perSecond, vus) {
  return {
    executor: 'constant-arrival-rate', rate: perSecond, timeUnit: '1s', duration: `${seconds}s`, startTime: `${start}s`,
    preAllocatedVUs: vus, maxVUs: vus, gracefulStop: '10s',
  };
}

export const options = {
  summaryTrendStats,
  scenarios: {
    before: phase(0, rate, 50),
    spike: phase(seconds, rate * number('TIMES', 10), 400),
    after: phase(2 * seconds + recovery, rate, 50),
  },
  thresholds: {
    failed_body: ['count<1'],
    failed_connection: ['count<1'],
    failed_timeout: ['count<1'],
    failed_server: ['count<1'],
    'http_req_failed{scenario:before}': ['rate<0.001'],
    'http_req_failed{scenario:after}': ['rate<0.001'],
    'http_req_duration{scenario:before}': [`p(95)<${p95}`],
    'http_req_duration{scenario:after}': [`p(95)<${p95}`],
    'http_req_duration{scenario:spike,expected_response:true}': [`p(95)<${3 * p95}`],
  },
};

export const setup = () => learn(phrases);

export default function (own) {
  twoPhrases(own);
}
