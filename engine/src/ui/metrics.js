// SPDX-License-Identifier: Apache-2.0
// Prometheus' text format (docs/metrics.md) into numbers, and what two scrapes say about the time
// between them. Pure: no page, no network.
"use strict";

const Metrics = (() => {
  const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
  const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)"/g;

  function number(text) {
    return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
  }

  // {name: [{labels: {}, value}]}
  function parse(text) {
    const families = {};
    for (const line of text.split("\n")) {
      const m = line[0] === "#" ? null : LINE.exec(line);
      if (!m) continue;
      const labels = {};
      for (const l of (m[2] || "").matchAll(LABEL))
        labels[l[1]] = l[2].replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
      (families[m[1]] ||= []).push({labels, value: number(m[3])});
    }
    return families;
  }

  function fits(labels, want) {
    return Object.keys(want).every((k) => labels[k] === want[k]);
  }

  // The sum over the series that have these labels; 0 when there is none.
  function sum(families, name, want = {}) {
    return (families[name] || []).reduce((n, s) => n + (fits(s.labels, want) ? s.value : 0), 0);
  }

  // Observations per bucket, [[upper bound, count below it]], in order.
  function buckets(families, name, want = {}) {
    const at = new Map();
    for (const s of families[name + "_bucket"] || [])
      if (fits(s.labels, want)) {
        const le = number(s.labels.le);
        at.set(le, (at.get(le) || 0) + s.value);
      }
    return [...at].sort((a, b) => a[0] - b[0]);
  }

  // The q-quantile of what came between two scrapes: linear within a bucket, as Prometheus does it.
  // null when nothing came.
  function quantile(before, after, q) {
    const was = new Map(before);
    const grown = after.map(([le, n]) => [le, n - (was.get(le) || 0)]);
    const total = grown.length ? grown[grown.length - 1][1] : 0;
    if (!(total > 0)) return null;
    const rank = q * total;
    let low = 0, below = 0;
    for (const [le, n] of grown) {
      if (n >= rank) {
        if (le === Infinity) return low;
        return n > below ? low + ((le - low) * (rank - below)) / (n - below) : le;
      }
      low = le;
      below = n;
    }
    return low;
  }

  return {parse, sum, buckets, quantile};
})();

if (typeof module !== "undefined") module.exports = Metrics;
