// SPDX-License-Identifier: Apache-2.0
// What every scenario here shares: the request, what is asserted of its answer, failures counted by kind, the summary.
//
// Environment of every scenario:
//   INFER_URL      where to post (default http://127.0.0.1:8080/infer)
//   INFER_API_KEY  sent as `Authorization: Bearer`, if set
//   P95_MS         threshold on the 95th percentile of http_req_duration (800)
//   FAILED_RATE    threshold on http_req_failed: less than this share (0.01)
//   OUT            also write the whole summary to this file
//   MARKERS=1      print the summary as one line of JSON between marker lines: how a Job delivers it by its log
import http from 'k6/http';
import { check, fail } from 'k6';
import { Counter } from 'k6/metrics';

export const url = __ENV.INFER_URL || 'http://127.0.0.1:8080/infer';

// the load of the showcase: eight phrases of two or three words
export const phrases = [
  'truly wonderful', 'a dull mess', 'works very well', 'never again',
  'quite good fun', 'utterly boring', 'I liked it', 'what a waste',
];

const kinds = {
  timeout: new Counter('failed_timeout'),       // no answer within the time limit
  connection: new Counter('failed_connection'), // refused, reset, not resolved
  refused: new Counter('failed_refused'),       // 429 and 503: the server said no, and when to come again
  server: new Counter('failed_server'),         // any other 5xx
  client: new Counter('failed_client'),         // any other 4xx: this script's fault, or the key's
  body: new Counter('failed_body'),             // 200, but not the labels of these texts in this order
};

// number NAME, DEFAULT: an environment variable that must be a number, if it is set.
export function number(name, otherwise) {
  const value = __ENV[name] === undefined || __ENV[name] === '' ? otherwise : Number(__ENV[name]);
  if (!(value >= 0)) {
    throw new Error(`${name} is ${__ENV[name]}; it must be a number, not negative`);
  }
  return value;
}

export const thresholds = {
  http_req_failed: [`rate<${number('FAILED_RATE', 0.01)}`],
  http_req_duration: [`p(95)<${number('P95_MS', 800)}`],
  failed_body: ['count<1'], // a wrong answer is never within a budget
};

export const summaryTrendStats = ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'];

function kindOf(answer) {
  if (answer.status === 0) {
    return answer.error_code === 1050 ? 'timeout' : 'connection'; // 1050: k6's own request timeout
  }
  if (answer.status === 429 || answer.status === 503) {
    return 'refused';
  }
  return answer.status >= 500 ? 'server' : 'client';
}

export function post(texts, timeout) {
  const headers = { 'Content-Type': 'application/json' };
  if (__ENV.INFER_API_KEY) {
    headers.Authorization = `Bearer ${__ENV.INFER_API_KEY}`;
  }
  return http.post(url, JSON.stringify({ inputs: texts }), { headers, timeout: timeout || '60s' });
}

function results(answer) {
  try {
    const found = answer.json();
    return Array.isArray(found) ? found : null;
  } catch (e) {
    return null;
  }
}

// learn TEXTS: each text's own answer, asked alone before the load. Called from setup(): what it returns is how
// verify() knows that the answers of a request are those of its texts, in their order, whatever the model.
export function learn(texts) {
  const own = {};
  for (let i = 0; i < texts.length; i += 1) {
    const answer = post([texts[i]]);
    const found = answer.status === 200 ? results(answer) : null;
    if (!found || found.length !== 1 || !found[0].label || !(found[0].confidence > 0)) {
      fail(`${url} does not answer as it must, before any load: HTTP ${answer.status} ${answer.error || answer.body}`);
    }
    own[texts[i]] = found[0];
  }
  return own;
}

// Other texts of the batch may change a confidence in its last digits on engines that pad; not in its second.
function same(result, expected) {
  return result && result.label === expected.label && Math.abs(result.confidence - expected.confidence) < 0.01;
}

// verify ANSWER, TEXTS, OWN: asserts status, count, labels and order; counts what failed by its kind.
export function verify(answer, texts, own) {
  const ok = check(answer, { 'status is 200': (r) => r.status === 200 });
  if (!ok) {
    kinds[kindOf(answer)].add(1);
    return false;
  }
  const found = results(answer);
  const right = check(found, {
    'one result a text': (f) => f !== null && f.length === texts.length,
    'labels and confidences of these texts, in order': (f) => f !== null
      && f.every((result, i) => same(result, own[texts[i]])),
  });
  if (!right) {
    kinds.body.add(1);
  }
  return right;
}

export function pick(list, count) {
  const chosen = [];
  for (let i = 0; i < count; i += 1) {
    chosen.push(list[Math.floor(Math.random() * list.length)]);
  }
  return chosen;
}

// twoPhrases OWN: the showcase's request.
export function twoPhrases(own) {
  const texts = pick(phrases, 2);
  return verify(post(texts), texts, own);
}

function value(metrics, name, field) {
  return metrics[name] ? metrics[name].values[field] : 0;
}

function text(data) {
  const m = data.metrics;
  const ms = (field) => value(m, 'http_req_duration', field).toFixed(1);
  const lines = [
    `requests ${value(m, 'http_reqs', 'count')}, ${value(m, 'http_reqs', 'rate').toFixed(2)}/s, dropped iterations ${
      value(m, 'dropped_iterations', 'count')}`,
    `latency ms: average ${ms('avg')}, median ${ms('med')}, p95 ${ms('p(95)')}, p99 ${ms('p(99)')}, most ${ms('max')}`,
    `failed ${(100 * value(m, 'http_req_failed', 'rate')).toFixed(2)} %:${Object.keys(kinds)
      .map((kind) => ` ${kind} ${value(m, `failed_${kind}`, 'count')}`).join(',')}`,
  ];
  Object.keys(m).forEach((name) => {
    Object.keys(m[name].thresholds || {}).forEach((rule) => {
      lines.push(`${m[name].thresholds[rule].ok ? 'kept  ' : 'MISSED'} ${name} ${rule}`);
    });
  });
  return `${lines.join('\n')}\n`;
}

export function handleSummary(data) {
  const files = { stdout: text(data) };
  if (__ENV.MARKERS === '1') {
    files.stdout += `-----BEGIN K6 SUMMARY-----\n${JSON.stringify(data)}\n-----END K6 SUMMARY-----\n`;
  }
  if (__ENV.OUT) {
    files[__ENV.OUT] = JSON.stringify(data);
  }
  return files;
}
