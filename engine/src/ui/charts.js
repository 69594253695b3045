// SPDX-License-Identifier: Apache-2.0
// A line chart of the last minutes: SVG, one or two series, read by pointer or arrow keys, with its
// latest values as text beside it. Colours are the style sheet's.
"use strict";

const Charts = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 150, LEFT = 44, RIGHT = 8, TOP = 8, BOTTOM = 20;

  function node(name, attributes = {}, text) {
    const n = document.createElementNS(SVG, name);
    for (const k of Object.keys(attributes)) n.setAttribute(k, attributes[k]);
    if (text !== undefined) n.textContent = text;
    return n;
  }

  function element(name, className, text) {
    const n = document.createElement(name);
    if (className) n.className = className;
    if (text !== undefined) n.textContent = text;
    return n;
  }

  // The least of 1, 2, 5 x 10^k that is not below v.
  function ceiling(v) {
    if (!(v > 0)) return 1;
    const unit = 10 ** Math.floor(Math.log10(v));
    return [1, 2, 5, 10].map((m) => m * unit).find((c) => c >= v * 0.9999);
  }

  function short(v) {
    if (v === null || v === undefined || Number.isNaN(v)) return "–";
    if (v >= 10000) return (v / 1000).toFixed(v >= 100000 ? 0 : 1) + "k";
    if (v >= 100) return v.toFixed(0);
    if (v >= 10) return v.toFixed(1);
    return String(Number(v.toPrecision(2)));
  }

  // series: [{name, unit}]; returns {figure, draw(points, span_s, extra)} with
  // points: [{at_s (seconds ago, oldest first), values: [number|null, ...]}].
  function create(title, series, id) {
    const figure = element("figure");
    figure.id = id;
    const caption = element("figcaption");
    caption.append(element("span", "", title));
    const latest = series.map((s, i) => {
      const key = element("span", series.length > 1 ? (i ? "key second" : "key") : "");
      const value = element("b", "", "–");
      value.dataset.series = s.name;
      key.append(value, document.createTextNode(` ${s.unit}${series.length > 1 ? " " + s.name : ""}`));
      caption.append(key);
      return value;
    });
    const extra = element("span", "extra");
    caption.append(extra);
    const svg = node("svg", {class: "chart", role: "img", tabindex: "0"});
    figure.append(caption, svg);
    let shown = [], span = 60, most = 1, picked = null, width = 480;

    const x = (p) => LEFT + (width - LEFT - RIGHT) * (1 - p.at_s / span);
    const y = (v) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * Math.min(1, v / most);

    function path(i) {
      let d = "", open = false;
      for (const p of shown) {
        const v = p.values[i];
        if (v === null || v === undefined) { open = false; continue; }
        d += `${open ? "L" : "M"}${x(p).toFixed(1)} ${y(v).toFixed(1)}`;
        open = true;
      }
      return d;
    }

    function area() {
      const runs = [];
      let run = [];
      for (const p of shown.concat({values: [null]})) {
        if (p.values[0] === null || p.values[0] === undefined) {
          if (run.length > 1) runs.push(run);
          run = [];
        } else run.push(p);
      }
      const base = HEIGHT - BOTTOM;
      return runs.map((r) => `M${x(r[0]).toFixed(1)} ${base}` +
        r.map((p) => `L${x(p).toFixed(1)} ${y(p.values[0]).toFixed(1)}`).join("") +
        `L${x(r[r.length - 1]).toFixed(1)} ${base}Z`).join("");
    }

    function tell(p) {
      return series.map((s, i) => `${s.name} ${short(p.values[i])} ${s.unit}`).join(", ");
    }

    function paint() {
      width = svg.clientWidth || width; // a unit is a pixel, so that text keeps its size
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      svg.replaceChildren();
      for (const part of [0, 0.5, 1]) {
        const at = y(most * part);
        svg.append(node("line", {class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at}));
        svg.append(node("text", {x: LEFT - 6, y: at + 4, "text-anchor": "end"}, short(most * part)));
      }
      svg.append(node("text", {x: LEFT, y: HEIGHT - 4}, span >= 60 ? `${Math.round(span / 60)} min ago` : `${Math.round(span)} s ago`));
      svg.append(node("text", {x: width - RIGHT, y: HEIGHT - 4, "text-anchor": "end"}, "now"));
      svg.append(node("path", {class: "area", d: area()}));
      for (let i = series.length - 1; i >= 0; i--)
        svg.append(node("path", {class: `series ${i ? "second" : "first"}`, d: path(i)}));
      const last = shown[shown.length - 1];
      const p = picked !== null && shown[picked] ? shown[picked] : null;
      if (p) {
        svg.append(node("line", {class: "cursor", x1: x(p), x2: x(p), y1: TOP, y2: HEIGHT - BOTTOM}));
        const right = x(p) > width / 2;
        svg.append(node("text", {x: x(p) + (right ? -6 : 6), y: TOP + 12, "text-anchor": right ? "end" : "start"},
          `${Math.round(p.at_s)} s ago: ${tell(p)}`));
      }
      svg.setAttribute("aria-label", `${title}: ` + (last ? tell(p || last) : "no figures yet") +
        (p ? `, ${Math.round(p.at_s)} seconds ago` : ""));
      latest.forEach((n, i) => { n.textContent = last ? short(last.values[i]) : "–"; });
    }

    function pick(index) {
      picked = index === null || !shown.length ? null : Math.max(0, Math.min(shown.length - 1, index));
      paint();
    }
    svg.addEventListener("pointermove", (e) => {
      const box = svg.getBoundingClientRect();
      const at = ((e.clientX - box.left) / box.width) * width;
      let best = null;
      shown.forEach((p, i) => {
        if (best === null || Math.abs(x(p) - at) < Math.abs(x(shown[best]) - at)) best = i;
      });
      pick(best);
    });
    svg.addEventListener("pointerleave", () => pick(null));
    svg.addEventListener("blur", () => pick(null));
    svg.addEventListener("keydown", (e) => {
      const steps = {ArrowLeft: -1, ArrowRight: 1};
      if (steps[e.key]) {
        pick((picked === null ? shown.length - 1 : picked) + steps[e.key]);
        e.preventDefault();
      } else if (e.key === "Escape") pick(null);
    });

    new ResizeObserver(() => paint()).observe(figure);

    return {
      figure,
      draw(points, span_s, note) {
        shown = points;
        span = span_s;
        most = ceiling(Math.max(0, ...points.flatMap((p) => p.values.map((v) => v || 0))));
        extra.textContent = note || "";
        paint();
      },
    };
  }

  return {create, ceiling, short, element};
})();

if (typeof module !== "undefined") module.exports = Charts;
