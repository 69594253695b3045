// SPDX-License-Identifier: Apache-2.0
// The page at /docs: this server's /openapi.json for reading, with a curl line each; where there is
// none, the list of routes that GET / gives to programs.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);

  function element(name, className, text) {
    const n = document.createElement(name);
    if (className) n.className = className;
    if (text !== undefined) n.textContent = text;
    return n;
  }

  async function json(path) {
    const answer = await fetch(path, {headers: {Accept: "application/json"}});
    return answer.ok ? answer.json() : null;
  }

  // "#/a/b" in the document; a cycle ends where it begins again.
  function resolve(doc, node, depth = 0) {
    if (!node || !node.$ref || depth > 8) return node || {};
    const at = node.$ref.replace(/^#\//, "").split("/").map((p) => p.replace(/~1/g, "/").replace(/~0/g, "~"));
    return resolve(doc, at.reduce((n, p) => (n ? n[p] : undefined), doc), depth + 1);
  }

  function example(doc, schema, depth = 0) {
    const s = resolve(doc, schema);
    if (s.example !== undefined) return s.example;
    if (Array.isArray(s.examples) && s.examples.length) return s.examples[0];
    if (s.default !== undefined) return s.default;
    if (s.enum) return s.enum[0];
    if (s.const !== undefined) return s.const;
    if (depth > 6) return null;
    const any = s.oneOf || s.anyOf || s.allOf;
    if (any) return example(doc, any[0], depth + 1);
    const type = Array.isArray(s.type) ? s.type[0] : s.type;
    if (type === "object" || s.properties) {
      const out = {};
      const wanted = s.required && s.required.length ? s.required : Object.keys(s.properties || {});
      for (const k of wanted) out[k] = example(doc, (s.properties || {})[k], depth + 1);
      return out;
    }
    if (type === "array") return [example(doc, s.items, depth + 1)];
    return {string: "string", integer: 1, number: 0.5, boolean: true}[type] ?? null;
  }

  function bodyExample(doc, content) {
    const kind = content && (content["application/json"] ? "application/json" : Object.keys(content)[0]);
    if (!kind) return null;
    const media = content[kind];
    let value = media.example;
    if (value === undefined && media.examples) value = resolve(doc, Object.values(media.examples)[0]).value;
    if (value === undefined) value = example(doc, media.schema);
    return {kind, text: typeof value === "string" ? value : JSON.stringify(value)};
  }

  function curl(method, path, body) {
    let line = `curl -s${method === "GET" ? "" : ` -X ${method}`} '${new URL(path.slice(1) || "./", document.baseURI).href}'`;
    if (body) line += ` \\\n  -H 'Content-Type: ${body.kind}' \\\n  -d '${body.text.replaceAll("'", "'\\''")}'`;
    return line;
  }

  function block(text) {
    const box = element("div");
    const copy = element("button", "quiet copy", "Copy");
    copy.type = "button";
    const pre = element("pre", "", text);
    pre.tabIndex = 0;
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch { // no clipboard without TLS: select it for Ctrl+C
        getSelection().selectAllChildren(pre);
        copy.textContent = "Selected";
      }
    });
    box.append(copy, pre);
    return box;
  }

  function rows(caption, names, list) {
    const table = element("table");
    table.append(element("caption", "", caption));
    const head = element("tr");
    names.forEach((n) => { const th = element("th", "", n); th.scope = "col"; head.append(th); });
    const body = element("tbody");
    for (const cells of list) {
      const row = element("tr");
      cells.forEach((c) => row.append(element("td", "", c)));
      body.append(row);
    }
    const thead = element("thead");
    thead.append(head);
    table.append(thead, body);
    return table;
  }

  function section(method, path, summary) {
    const box = element("section", "operation");
    const title = element("h2");
    title.append(element("span", "method", method), document.createTextNode(` ${path}`));
    box.append(title);
    if (summary) box.append(element("p", "", summary));
    return box;
  }

  function showOperation(doc, path, shared, method, op) {
    const box = section(method.toUpperCase(), path, op.summary || op.description);
    if (op.summary && op.description && op.description !== op.summary) box.append(element("p", "hint", op.description));
    const parameters = (shared || []).concat(op.parameters || []).map((p) => resolve(doc, p));
    if (parameters.length)
      box.append(rows("Parameters", ["Name", "In", "Meaning"],
        parameters.map((p) => [p.name + (p.required ? " (needed)" : ""), p.in, p.description || ""])));
    const body = bodyExample(doc, resolve(doc, op.requestBody).content);
    box.append(block(curl(method.toUpperCase(), path, body)));
    box.append(rows("Answers", ["Status", "Meaning"], Object.entries(op.responses || {}).map(([code, r]) => [code, resolve(doc, r).description || ""])));
    return box;
  }

  function showDocument(doc) {
    $("title").textContent = doc.info && doc.info.title ? `${doc.info.title}: API` : "inferd: API";
    $("about").textContent = (doc.info && doc.info.description) || `OpenAPI ${doc.openapi || ""}`;
    for (const [path, item] of Object.entries(doc.paths || {}))
      for (const method of ["get", "post", "put", "patch", "delete"])
        if (item[method]) $("operations").append(showOperation(doc, path, item.parameters, method, item[method]));
  }

  function showRoutes(index) {
    $("about").textContent = `inferd ${index.version}. This build has no /openapi.json: these are its routes.`;
    for (const route of index.routes.filter((r) => !r.path.startsWith("/ui/"))) {
      const method = route.methods.split(",")[0];
      const body = route.path === "/infer" ? {kind: "application/json", text: '{"inputs":["I love this!","This is awful."]}'} : null;
      const box = section(route.methods, route.path);
      box.append(block(curl(method, route.path, body)));
      $("operations").append(box);
    }
  }

  async function start() {
    let theme = "";
    try { theme = localStorage.getItem("inferd-theme") || ""; } catch { /* a browser that keeps nothing */ }
    document.documentElement.dataset.theme = theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    try {
      const doc = await json("openapi.json");
      if (doc) { showDocument(doc); return; }
      const index = await json("./");
      if (!index) throw new Error("refused");
      showRoutes(index);
    } catch {
      $("about").className = "note error";
      $("about").textContent = "The server cannot be reached, or does not answer here. Load the page again when it does.";
    }
  }
  start();
})();
