// SPDX-License-Identifier: Apache-2.0
// The load of the showcase: an open arrival rate that climbs, eight phrases of two or three words, two a
// request, at most 200 virtual users. `external` climbs from 1 to 10, 30 and 60 requests per second, `internal`
// to 5, 10 and 15. The body is asserted, not only that it is JSON.
//
//     k6 run -e URL=http://127.0.0.1:8000/infer -e PROFILE=external -e STAGE=2m -e OUT=result.json k6/ramp.js
import http from 'k6/http';
import { check } from 'k6';

const url = __ENV.URL || 'http://127.0.0.1:8000/infer';
const stage = __ENV.STAGE || '2m';
const profile = __ENV.PROFILE || 'external';
const profiles = { external: [10, 30, 60], internal: [5, 10, 15] };
if (!profiles[profile]) {
  throw new Error(`PROFILE is ${profile}; there are ${Object.keys(profiles).join(', ')}`);
}

const phrases = [
  'truly wonderful', 'a dull mess', 'works very well', 'never again',
  'quite good fun', 'utterly boring', 'I liked it', 'what a waste',
];

export const options = {
  discardResponseBodies: false,
  summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
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
  thresholds: {
    http_req_failed: ['rate<0.01'],
    http_req_duration: ['p(95)<800'],
    checks: ['rate>0.99'],
  },
};

function phrase() {
  return phrases[Math.floor(Math.random() * phrases.length)];
}

function isResult(r) {
  return (r.label === 'POSITIVE' || r.label === 'NEGATIVE') && r.confidence >= 0.5 && r.confidence <= 1;
}

export default function () {
  const body = JSON.stringify({ inputs: [phrase(), phrase()] });
  const answer = http.post(url, body, { headers: { 'Content-Type': 'application/json' }, timeout: '60s' });
  check(answer, {
    'status is 200': (r) => r.status === 200,
    'two labels with their confidences': (r) => {
      try {
        const results = r.json();
        return results.length === 2 && results.every(isResult);
      } catch (e) {
        return false;
      }
    },
  });
}

export function handleSummary(data) {
  const files = {};
  if (__ENV.OUT) {
    files[__ENV.OUT] = JSON.stringify(data);
  }
  return files;
}
