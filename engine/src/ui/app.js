// SPDX-License-Identifier: Apache-2.0
// The page at /: one text through POST /infer, what the server is from /info, and its last minutes
// from /metrics. Texts become nodes by textContent alone. A poll that fails waits twice as long for
// the next; a page that is not looked at does not poll.
"use strict";

(() => {
  const POLL_MS = 2000, POLL_MOST_MS = 30000, TIMEOUT_MS = 10000, KEEP = 120, WINDOW = 5;
  const $ = (id) => document.getElementById(id);
  const {element, short} = Charts;
  let key = "", labelCount = 0, plain = false; // plain: this server takes no `parameters` of ours

  // ---- asking ----

  async function ask(path, options = {}) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), options.timeout || TIMEOUT_MS);
    const headers = Object.assign({}, options.headers);
    if (key) headers.Authorization = `Bearer ${key}`;
    try {
      const answer = await fetch(path, {...options, headers, signal: stop.signal, cache: "no-store"});
      return {status: answer.status, headers: answer.headers, text: await answer.text()};
    } catch (e) {
      throw new Error(e.name === "AbortError" ? "The server did not answer in time." : "The server cannot be reached.");
    } finally {
      clearTimeout(timer);
    }
  }

  function parsed(text) {
    try { return JSON.parse(text); } catch { return null; }
  }

  function reason(answer) {
    const body = parsed(answer.text);
    const error = body && body.error;
    let said = error && error.message ? error.message : typeof error === "string" ? error : "";
    said = said.charAt(0).toUpperCase() + said.slice(1);
    const wait = answer.headers.get("retry-after");
    return `${said || "The server answered"} (${answer.status}${error && error.type ? " " + error.type : ""}` +
      `${wait ? `; try again in ${wait} s` : ""})`;
  }

  function needsKey(status) {
    if (status !== 401 && status !== 403) return;
    $("key-row").hidden = false;
    $("key").focus();
  }

  // ---- one text ----

  function ms(v) {
    return `${v < 10 ? v.toFixed(2) : v.toFixed(1)} ms`;
  }

  function bytes(n) {
    return n < 1048576 ? `${Math.ceil(n / 1024)} KiB` : `${(n / 1048576).toFixed(0)} MiB`;
  }

  // All scores, the highest first, whatever this server's answer has of them.
  function scoresOf(r) {
    const list = Array.isArray(r.scores) ? r.scores : Array.isArray(r.top_k) ? r.top_k : [];
    const scores = list.map((s) => ({label: s.label, value: s.confidence ?? s.score}));
    if (r.scores && !Array.isArray(r.scores))
      for (const label of Object.keys(r.scores)) scores.push({label, value: r.scores[label]});
    if (!scores.length) scores.push({label: r.label, value: r.confidence});
    return scores.sort((a, b) => b.value - a.value);
  }

  function scoreTable(scores) {
    const table = element("table");
    const few = scores.length === 1 && labelCount > 1;
    table.append(element("caption", "", few ? `The best of ${labelCount} labels` : "All scores"));
    const head = element("tr");
    for (const name of ["Label", "", "Score"]) {
      const th = element("th", "", name);
      th.scope = "col";
      if (!name) th.setAttribute("aria-hidden", "true");
      head.append(th);
    }
    const thead = element("thead");
    thead.append(head);
    const body = element("tbody");
    scores.slice(0, 50).forEach((s, i) => {
      const row = element("tr");
      if (!i) row.dataset.first = "";
      const name = element("th", "", s.label);
      name.scope = "row";
      const bar = element("td", "meter");
      const fill = element("div"); // the number beside it says the same
      fill.style.width = `${100 * Math.min(1, Math.max(0, s.value))}%`;
      bar.append(fill);
      row.append(name, bar, element("td", "number", (100 * s.value).toFixed(2) + " %"));
      body.append(row);
    });
    table.append(thead, body);
    return table;
  }

  function facts(r, answer, took) {
    const dl = element("dl");
    const add = (name, value) => dl.append(element("dt", "", name), element("dd", "", value));
    const count = Array.isArray(r.tokens) ? r.tokens.length : r.token_count ?? r.tokens;
    if (Number.isFinite(count)) add("Tokens", `${count}${r.truncated ? " (the text was cut at the model's length)" : ""}`);
    else if (r.truncated) add("Tokens", "the text was cut at the model's length");
    add("Round trip", ms(took));
    const stages = r.ms || r.timing || r.timings;
    if (stages && typeof stages === "object")
      add("Of it in the server", Object.entries(stages).map(([k, v]) => `${k.replace(/_ms$/, "")} ${ms(v)}`).join(", "));
    const digest = answer.headers.get("x-model-digest");
    if (digest) add("Model digest", digest.slice(0, 19) + "…");
    return dl;
  }

  function show(r, answer, took) {
    const box = $("result");
    const best = scoresOf(r)[0];
    const verdict = element("p", "verdict");
    const name = element("strong", "", r.label ?? best.label);
    name.id = "label";
    const sure = element("span", "", `${(100 * (r.confidence ?? best.value)).toFixed(2)} % confidence`);
    sure.id = "confidence";
    verdict.append(name, sure);
    box.replaceChildren(verdict, scoreTable(scoresOf(r)), facts(r, answer, took));
    if (Array.isArray(r.tokens) && typeof r.tokens[0] === "string") {
      const list = element("ul", "tokens");
      list.setAttribute("aria-label", "Tokens");
      r.tokens.forEach((t) => list.append(element("li", "", t)));
      box.append(list);
    }
  }

  function fail(message) {
    $("result").replaceChildren();
    $("error").textContent = message;
    $("error").hidden = false;
  }

  function body(text, rich) {
    return JSON.stringify(rich ? {text, parameters: {top_k: 0, details: true}} : {text});
  }

  function infer(text, rich) {
    return ask("infer", {method: "POST", headers: {"Content-Type": "application/json"}, body: body(text, rich)});
  }

  let running = false;
  async function classify() {
    const text = $("text").value;
    if (running) return;
    $("error").hidden = true;
    if (!text) {
      fail("There is no text yet: type one, or choose an example.");
      $("text").focus();
      return;
    }
    running = true;
    $("go").setAttribute("aria-disabled", "true");
    $("busy").textContent = "…";
    try {
      let began = performance.now();
      let answer = await infer(text, !plain);
      if (!plain && answer.status === 400) { // an older server names what it does not know
        began = performance.now();
        const again = await infer(text, false);
        if (again.status === 200) { plain = true; answer = again; }
      }
      const took = performance.now() - began;
      const list = parsed(answer.text);
      const results = Array.isArray(list) ? list : list && Array.isArray(list.results) ? list.results : null;
      if (answer.status === 200 && results && results.length) {
        const first = Array.isArray(results[0]) ? {...results[0][0], scores: results[0]} : results[0];
        show(first.ms || first.timing ? first : {...first, ms: list.ms ?? list.timing}, answer, took);
      } else {
        fail(reason(answer));
        needsKey(answer.status);
      }
    } catch (e) {
      fail(e.message);
    } finally {
      running = false;
      $("go").removeAttribute("aria-disabled");
      $("busy").textContent = "";
    }
  }

  function curl() {
    const data = body($("text").value || "I love this!", !plain).replaceAll("'", "'\\''");
    const at = new URL("infer", location.href).href;
    $("curl").textContent = `curl -s ${at} -H 'Content-Type: application/json' \\\n  -d '${data}'`;
  }

  // ---- what runs ----

  async function readInfo() {
    const answer = await ask("info");
    const info = answer.status === 200 ? parsed(answer.text) : null;
    if (!info) return;
    const dl = $("model");
    dl.replaceChildren();
    const add = (name, value) => dl.append(element("dt", "", name), element("dd", "", value));
    const m = info.model;
    if (m) {
      labelCount = m.labels.length;
      add("Model", m.name);
      add("Architecture", m.architecture);
      add("Labels", m.labels.length > 12 ? `${m.labels.slice(0, 12).join(", ")} and ${m.labels.length - 12} more` : m.labels.join(", "));
      add("Arithmetic", m.dtype);
      add("CPU tier", m.cpu_tier);
      add("Size", `${m.layers} layers × ${m.hidden_size}, ${(m.parameters / 1e6).toFixed(1)} M parameters, ${bytes(m.weight_bytes)}`);
      add("Text length", `up to ${m.max_length} tokens`);
    } else add("Model", "still loading");
    add("Threads", `${info.threads.compute} compute, ${info.threads.http} for connections`);
    add("Queue", `${info.limits.max_queue} texts, ${info.limits.max_queue_tokens} tokens`);
    add("Batch", `up to ${info.limits.max_batch_size} texts, ${info.limits.max_batch_tokens} tokens`);
    $("foot").textContent = `inferd ${info.version}. Nothing on this page comes from, or goes to, anywhere but this server.`;
    document.title = m ? `inferd: ${m.name}` : "inferd";
  }

  // ---- the last minutes ----

  const charts = [
    {id: "throughput", title: "Throughput", series: [{name: "answered", unit: "/s"}, {name: "refused", unit: "/s"}]},
    {id: "latency", title: "Latency", series: [{name: "p50", unit: "ms"}, {name: "p99", unit: "ms"}]},
    {id: "queue", title: "Queue", series: [{name: "waiting", unit: "texts"}]},
    {id: "batch", title: "Batch", series: [{name: "mean size", unit: "texts"}]},
  ].map((c) => ({...c, chart: Charts.create(c.title, c.series, c.id)}));
  charts.forEach((c) => $("charts").append(c.chart.figure));

  const scrapes = []; // the last ones: what figures over a window need
  const points = []; // {at, throughput: [], latency: [], queue: [], batch: []}

  function digest(text, at) {
    const f = Metrics.parse(text);
    const d = "inferd_request_duration_seconds";
    return {
      at, started: Metrics.sum(f, "process_start_time_seconds"),
      ok: Metrics.sum(f, d + "_count", {outcome: "ok"}),
      shed: Metrics.sum(f, "inferd_request_outcomes_total", {outcome: "shed"}) + Metrics.sum(f, "inferd_request_outcomes_total", {outcome: "deadline"}),
      latency: Metrics.buckets(f, d, {outcome: "ok"}),
      batches: Metrics.sum(f, "inferd_batch_size_count"), texts: Metrics.sum(f, "inferd_batch_size_sum"),
      tokens: Metrics.sum(f, "inferd_tokens_total"),
      queue: Metrics.sum(f, "inferd_queue_depth"), wait: Metrics.sum(f, "inferd_estimated_wait_seconds"),
      saturation: Metrics.sum(f, "inferd_saturation_ratio"),
      ready: Metrics.sum(f, "inferd_ready"), draining: Metrics.sum(f, "inferd_draining"),
    };
  }

  function take(now) {
    const before = scrapes[scrapes.length - 1];
    if (before && (before.started !== now.started || before.ok > now.ok)) scrapes.length = 0; // another process
    scrapes.push(now);
    if (scrapes.length > WINDOW + 1) scrapes.shift();
    const last = scrapes[scrapes.length - 2], first = scrapes[0];
    if (!last) return;
    const s = (now.at - last.at) / 1000;
    const milli = (q) => {
      const v = Metrics.quantile(first.latency, now.latency, q);
      return v === null ? null : v * 1000;
    };
    const batches = now.batches - first.batches;
    points.push({
      at: now.at,
      throughput: [(now.ok - last.ok) / s, (now.shed - last.shed) / s],
      latency: [milli(0.5), milli(0.99)],
      queue: [now.queue],
      batch: [batches > 0 ? (now.texts - first.texts) / batches : null],
    });
    if (points.length > KEEP) points.shift();
    const notes = {
      throughput: `saturation ${now.saturation.toFixed(2)}`,
      latency: "first byte in to last byte out",
      queue: `estimated wait ${ms(now.wait * 1000)}`,
      batch: batches > 0 ? `${short((now.tokens - first.tokens) / batches)} tokens each` : "none lately",
    };
    const span = Math.max(60, (now.at - points[0].at) / 1000);
    for (const c of charts)
      c.chart.draw(points.map((p) => ({at_s: (now.at - p.at) / 1000, values: p[c.id]})), span, notes[c.id]);
  }

  function state(name, text) {
    if ($("state").textContent === text) return;
    $("state").dataset.state = name;
    $("state").textContent = text;
  }

  let timer = 0, delay = POLL_MS, paused = false, infoAt = -1e9, wasReady = null;
  async function poll() {
    clearTimeout(timer);
    timer = 0;
    if (paused || document.hidden) return;
    try {
      const answer = await ask("metrics");
      if (answer.status !== 200) {
        needsKey(answer.status);
        throw new Error(reason(answer));
      }
      const now = digest(answer.text, performance.now());
      take(now);
      state(now.ready ? "ready" : "waiting", now.ready ? "ready" : now.draining ? "draining" : "loading");
      if (now.ready !== wasReady || now.at - infoAt > 30000) {
        infoAt = now.at;
        wasReady = now.ready;
        await readInfo();
      }
      delay = POLL_MS;
      $("live-error").hidden = true;
    } catch (e) {
      state("down", "no answer");
      delay = Math.min(delay * 2, POLL_MOST_MS);
      $("live-error").textContent = `${e.message} Asking again in ${delay / 1000} s.`;
      $("live-error").hidden = false;
    }
    $("age").textContent = `every ${delay / 1000} s`;
    if (!timer) timer = setTimeout(poll, delay);
  }

  // ---- wiring ----

  const themes = [["", "Auto", "as the system"], ["light", "Light", "light"], ["dark", "Dark", "dark"]];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let theme = 0;
  function setTheme(i) {
    theme = i;
    const [value, text, said] = themes[i];
    document.documentElement.dataset.theme = value || (dark.matches ? "dark" : "light");
    $("theme").textContent = text;
    $("theme").setAttribute("aria-label", `Colours: ${said}`);
    try { localStorage.setItem("inferd-theme", value); } catch { /* a browser that keeps nothing */ }
  }
  dark.addEventListener("change", () => setTheme(theme));
  let kept = "";
  try { kept = localStorage.getItem("inferd-theme") || ""; } catch { /* the same */ }
  setTheme(Math.max(0, themes.findIndex((t) => t[0] === kept)));

  $("theme").addEventListener("click", () => setTheme((theme + 1) % themes.length));
  $("form").addEventListener("submit", (e) => { e.preventDefault(); classify(); });
  $("text").addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); classify(); }
  });
  $("text").addEventListener("input", () => {
    const n = [...$("text").value].length;
    $("size").textContent = n ? `${n} character${n === 1 ? "" : "s"}` : "";
    curl();
  });
  $("curl-box").addEventListener("toggle", curl);
  $("key").addEventListener("change", () => { key = $("key").value.trim(); delay = POLL_MS; poll(); });
  document.querySelectorAll(".example").forEach((b) => b.addEventListener("click", () => {
    $("text").value = b.textContent;
    $("text").dispatchEvent(new Event("input"));
    classify();
  }));
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    $("pause").textContent = paused ? "Go on" : "Pause";
    poll();
  });
  document.addEventListener("visibilitychange", poll);
  curl();
  readInfo().catch(() => {}); // the poll says what is wrong
  poll();
})();
