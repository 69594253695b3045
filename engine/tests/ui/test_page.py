# SPDX-License-Identifier: Apache-2.0
"""The page at / in headless Chromium, as a person uses it: click, type, read; its errors, its
graphs, its keyboard, its colours, its width on a phone; and that it asks nobody but its server.

INFERD_BIN is the binary, INFERD_UI_MODEL a model directory, INFERD_CHROMIUM the browser;
INFERD_SHOTS a folder for screenshots (none without it).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import MODEL as SMALL, Server  # noqa: E402

MODEL = os.environ.get("INFERD_UI_MODEL", str(HERE.parents[2] / "models" / "sst2-minilm-l6"))
CHROMIUM = os.environ.get("INFERD_CHROMIUM", "/usr/bin/chromium")
SHOTS = os.environ.get("INFERD_SHOTS")
PATIENCE_MS = 30000
PHONE = {"width": 360, "height": 740}

# The lowest contrast (WCAG 2.1) between an element's text and what is painted behind it.
CONTRAST = """() => {
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = (n) => { for (; n; n = n.parentElement) {
    const c = rgb(getComputedStyle(n).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const out = [];
  for (const n of document.querySelectorAll("body *")) {
    const own = [...n.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own || !n.checkVisibility() || n.closest("noscript") || n.matches(".skip")) continue;
    const s = getComputedStyle(n), a = light(rgb(n.namespaceURI.endsWith("svg") ? s.fill : s.color)), b = light(back(n));
    out.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), n.tagName + "." + n.getAttribute("class"), n.textContent.slice(0, 40)]);
  }
  return out.sort((x, y) => x[0] - y[0]);
}"""


def infer(port: int, texts: list[str]) -> list[dict]:
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    c.request("POST", "/infer", json.dumps({"inputs": texts}), {"Content-Type": "application/json"})
    answer = json.loads(c.getresponse().read())
    c.close()
    return answer


class Browser(unittest.TestCase):
    model = MODEL
    options: tuple[str, ...] = ()

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(*cls.options, model=cls.model)
        cls.playwright = sync_playwright().start()
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    @classmethod
    def tearDownClass(cls) -> None:
        cls.browser.close()
        cls.playwright.stop()
        try:
            assert cls.server.stop() == 0
        finally:
            cls.server.close()

    def open(self, path: str = "/", server: Server | None = None, **context) -> Page:
        """A page with no history; what it asks for and complains of is kept."""
        self.at = f"http://127.0.0.1:{(server or self.server).port}"
        made = self.browser.new_context(**{"color_scheme": "light", "viewport": {"width": 1200, "height": 900}, **context})
        self.addCleanup(made.close)
        page = made.new_page()
        page.set_default_timeout(PATIENCE_MS)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda r: self.asked.append(r.url))
        page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        page.on("pageerror", lambda e: self.complaints.append(str(e)))
        page.goto(self.at + path)
        return page

    def until(self, page: Page, script: str) -> None:
        """Not wait_for_function: that compiles its text in the page, which the policy forbids."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not page.evaluate(script):
            self.assertLess(time.monotonic(), end, f"never true: {script}")
            page.wait_for_timeout(50)

    def shot(self, page: Page, name: str) -> None:
        if SHOTS:
            page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)

    def assert_quiet(self) -> None:
        # a server that does not know a parameter says so once, and Chromium repeats it
        known = "Failed to load resource: the server responded with a status of 400 (Bad Request)"
        self.assertLessEqual(self.complaints, [known])
        self.assertEqual([u for u in self.asked if not u.startswith(self.at + "/")], [])

    def classify(self, page: Page, text: str) -> tuple[str, float]:
        page.get_by_label("Text to classify").fill(text)
        page.get_by_role("button", name="Classify", exact=True).click()
        self.until(page, "document.querySelector('#go').getAttribute('aria-disabled') === null")
        return page.locator("#label").inner_text(), float(page.locator("#confidence").inner_text().split()[0])


class Trying(Browser):
    def test_type_click_read(self):
        page = self.open()
        self.assertEqual(page.title().split(":")[0], "inferd")
        for text in ("I love this!", "This is awful.", "naïve “quotes” \U0001F600 & <b>tags</b>"):
            want = infer(self.server.port, [text])[0]
            label, confidence = self.classify(page, text)
            self.assertEqual(label, want["label"])
            self.assertAlmostEqual(confidence, 100 * want["confidence"], delta=0.0051)
        # positive control: the two texts above have different labels, so a page that shows a
        # constant would have failed
        self.assertNotEqual(*[r["label"] for r in infer(self.server.port, ["I love this!", "This is awful."])])
        self.assertIn("Round trip", page.locator("#result").inner_text())
        self.assertEqual(page.locator("#result").get_attribute("aria-live"), "polite")
        self.assert_quiet()

    def test_all_scores_tokens_and_time(self):
        page = self.open()
        self.classify(page, "I love this!")
        rows = page.locator("#result tbody tr")
        labels = [rows.nth(i).locator("th").inner_text() for i in range(rows.count())]
        scores = [float(rows.nth(i).locator("td.number").inner_text().split()[0]) for i in range(rows.count())]
        self.assertEqual(labels[0], page.locator("#label").inner_text())
        self.assertEqual(scores, sorted(scores, reverse=True))
        if page.locator("#result caption").inner_text() == "All scores":
            self.assertEqual(set(labels), {"NEGATIVE", "POSITIVE"})
            self.assertAlmostEqual(sum(scores), 100, delta=0.02)
        self.assert_quiet()

    def test_examples_and_curl(self):
        page = self.open()
        page.get_by_role("button", name="A waste of two hours.").click()
        page.wait_for_selector("#label")
        self.assertEqual(page.locator("#label").inner_text(), "NEGATIVE")
        page.get_by_text("The same with curl").click()
        line = page.locator("#curl").inner_text()
        self.assertIn(f"curl -s {self.at}/infer", line)
        self.assertIn("A waste of two hours.", line)

    def test_what_runs(self):
        page = self.open()
        page.wait_for_selector("#state[data-state=ready]")
        self.until(page, "document.querySelector('#model').innerText.includes('CPU tier')")
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        c.request("GET", "/info")
        model = json.loads(c.getresponse().read())["model"]
        c.close()
        told = page.locator("#model").inner_text()
        for part in (model["name"], model["dtype"], model["cpu_tier"], *model["labels"]):
            self.assertIn(part, told)

    def test_keyboard_alone(self):
        page = self.open()
        self.assertEqual(page.evaluate("document.activeElement.id"), "text")  # typing works at once
        page.keyboard.type("This is awful.")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("#label")
        self.assertEqual(page.locator("#label").inner_text(), "NEGATIVE")
        seen = []
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement === document.body"):
                break  # past the last one
            seen.append(page.evaluate("document.activeElement.id || document.activeElement.tagName + ':' + document.activeElement.textContent.slice(0, 12)"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            self.assertNotEqual(outline, "none", seen[-1])
        self.assertEqual(seen[:5], ["BUTTON:I love this!", "BUTTON:The plot is ", "BUTTON:A waste of t", "go", "SUMMARY:The same wit"])
        self.assertEqual(len(seen), 5 + 1 + 4)  # then the button of the graphs, and each graph
        self.assertEqual(seen[5], "pause")
        # the first stop of all leads past the navigation
        page.get_by_label("Text to classify").focus()
        for _ in range(4):  # the colours, the metrics, the API
            page.keyboard.press("Shift+Tab")
        self.assertEqual(page.evaluate("document.activeElement.className"), "skip")
        page.keyboard.press("Enter")
        self.assertTrue(page.url.endswith("#text"))

    def test_errors_are_shown(self):
        page = self.open()
        page.get_by_role("button", name="Classify", exact=True).click()
        alert = page.get_by_role("alert")
        self.assertIn("There is no text yet", alert.inner_text())
        page.get_by_label("Text to classify").fill("x" * (2 << 20))
        page.get_by_role("button", name="Classify", exact=True).click()
        self.until(page, "document.querySelector('#error').innerText.includes('413')")
        self.assertIn("--max-body-bytes", alert.inner_text())
        # it goes away with the next answer
        self.classify(page, "I love this!")
        self.assertFalse(alert.is_visible())

    def test_a_key_is_asked_for(self):
        page = self.open()
        sent = []

        def guard(route):
            sent.append(route.request.headers.get("authorization"))
            if sent[-1] == "Bearer a-key-of-the-test":
                route.continue_()
            else:
                route.fulfill(status=401, content_type="application/json",
                              body='{"error":{"code":401,"type":"unauthorized","message":"a key is needed"}}')
        page.route("**/infer", guard)
        page.get_by_label("Text to classify").fill("I love this!")
        page.get_by_role("button", name="Classify", exact=True).click()
        page.wait_for_selector("#key-row:not([hidden])")
        self.assertIn("A key is needed (401 unauthorized)", page.get_by_role("alert").inner_text())
        page.get_by_label("API key").fill("a-key-of-the-test")
        page.get_by_label("API key").press("Tab")
        page.get_by_role("button", name="Classify", exact=True).click()
        page.wait_for_selector("#label")
        self.assertIsNone(sent[0])
        self.assertEqual(sent[-1], "Bearer a-key-of-the-test")
        self.assertEqual(page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})").count("a-key"), 0)


class Live(Browser):
    def test_graphs_follow_the_load(self):
        page = self.open()
        stop = threading.Event()
        done = [0]

        def load():
            while not stop.is_set():
                infer(self.server.port, ["I love this!", "Not so good, and much longer than the other one."])
                done[0] += 1
                time.sleep(0.05)
        thread = threading.Thread(target=load)
        thread.start()
        try:
            value = lambda figure, series: page.locator(f"#{figure} b[data-series='{series}']").inner_text()
            self.until(page, """() => ["throughput", "latency", "batch"].every((id) =>
                parseFloat(document.querySelector(`#${id} b`).innerText) > 0)""")
            page.wait_for_timeout(9000)
            began, at = done[0], time.monotonic()
            page.wait_for_timeout(4000)
            rate = (done[0] - began) / (time.monotonic() - at)
            self.assertAlmostEqual(float(value("throughput", "answered")), rate, delta=0.5 * rate + 2)
            self.assertLessEqual(float(value("latency", "p50")), float(value("latency", "p99")))
            self.assertAlmostEqual(float(value("batch", "mean size")), 2, delta=0.01)
            self.assertIn("tokens each", page.locator("#batch .extra").inner_text())
            self.assertIn("estimated wait", page.locator("#queue").inner_text())
            self.shot(page, "light")
            label = page.locator("#throughput svg").get_attribute("aria-label")
            self.assertRegex(label, r"Throughput: answered [\d.k]+ /s, refused 0 /s")
            # read a point by keyboard
            page.locator("#latency svg").focus()
            page.keyboard.press("ArrowLeft")
            self.assertRegex(page.locator("#latency svg").get_attribute("aria-label"), r"seconds ago$")
        finally:
            stop.set()
            thread.join()
        self.assert_quiet()

    def test_pause(self):
        page = self.open()
        page.wait_for_selector("#state[data-state=ready]")
        page.get_by_role("button", name="Pause").click()
        page.wait_for_timeout(500)
        before = sum(u.endswith("/metrics") for u in self.asked)
        page.wait_for_timeout(5000)
        self.assertEqual(sum(u.endswith("/metrics") for u in self.asked), before)
        page.get_by_role("button", name="Go on").click()
        page.wait_for_timeout(3000)
        self.assertGreater(sum(u.endswith("/metrics") for u in self.asked), before)

    def test_a_server_that_goes_and_comes(self):
        server = Server(model=SMALL)
        page = self.open(server=server)
        page.wait_for_selector("#state[data-state=ready]")
        self.assertEqual(server.stop(), 0)
        port = server.port
        server.close()
        page.wait_for_selector("#state[data-state=down]")
        self.assertIn("cannot be reached", page.locator("#live-error").inner_text())
        page.get_by_label("Text to classify").fill("anyone?")
        page.get_by_role("button", name="Classify", exact=True).click()
        page.wait_for_selector("#error:not([hidden])")
        self.assertIn("cannot be reached", page.get_by_role("alert").inner_text())
        self.shot(page, "down")
        # it asks less and less often
        self.until(page, "document.querySelector('#age').innerText === 'every 8 s'")
        again = Server("--port", str(port), model=SMALL)
        try:
            page.wait_for_selector("#state[data-state=ready]")
            self.assertEqual(page.locator("#age").inner_text(), "every 2 s")
            self.assertTrue(page.locator("#live-error").is_hidden())
        finally:
            page.close()
            again.stop()
            again.close()

    def test_quantiles_are_prometheus_s(self):
        page = self.open()
        got = page.evaluate("""() => {
          const text = (n) => `h_bucket{o="ok",le="0.1"} ${10 * n}\\nh_bucket{o="ok",le="0.2"} ${30 * n}\\n` +
            `h_bucket{o="no",le="0.1"} 1000\\nh_bucket{o="ok",le="+Inf"} ${40 * n}\\n# HELP h x\\nh_sum{o="ok"} 3`;
          const b = (n) => Metrics.buckets(Metrics.parse(text(n)), "h", {o: "ok"});
          return [[0.5, 1, 2], [0.25, 0, 1], [0.125, 0, 1], [0.99, 0, 1], [0.5, 1, 1]]
            .map(([q, from, to]) => Metrics.quantile(b(from), b(to), q));
        }""")
        self.assertAlmostEqual(got[0], 0.15)
        self.assertAlmostEqual(got[1], 0.1)
        self.assertAlmostEqual(got[2], 0.05)
        self.assertAlmostEqual(got[3], 0.2)  # in the last bucket: the highest bound
        self.assertIsNone(got[4])


class Looks(Browser):
    def looks(self, name: str, **context) -> Page:
        page = self.open(**context)
        page.wait_for_selector("#state[data-state=ready]")
        self.classify(page, "The plot is thin, but the acting is superb.")
        page.wait_for_timeout(4500)
        self.shot(page, name)
        return page

    def contrast(self, page: Page) -> list:
        found = page.evaluate(CONTRAST)
        self.assertGreater(len(found), 20)
        return found[0]

    def test_light_dark_and_contrast(self):
        page = self.looks("light-idle")
        self.assertGreaterEqual(self.contrast(page)[0], 4.5, self.contrast(page))
        button = page.get_by_role("button", name=re.compile("^Colours"))
        button.click()
        button.click()
        self.assertEqual(page.evaluate("document.documentElement.dataset.theme"), "dark")
        page.reload()
        self.assertEqual(page.evaluate("document.documentElement.dataset.theme"), "dark")  # it is kept
        # positive control: grey on white is found
        page.evaluate("document.querySelector('h1').style.cssText = 'color: #777; background: #888'")
        self.assertLess(self.contrast(page)[0], 4.5)
        dark = self.looks("dark", color_scheme="dark")
        self.assertEqual(dark.evaluate("document.documentElement.dataset.theme"), "dark")
        self.assertGreaterEqual(self.contrast(dark)[0], 4.5, self.contrast(dark))

    def test_on_a_phone(self):
        page = self.looks("phone", viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True)
        width = lambda p: p.evaluate("document.scrollingElement.scrollWidth")
        self.assertLessEqual(width(page), PHONE["width"])
        small = page.evaluate("[...document.querySelectorAll('button, a:not(.skip)')].filter((n) => n.checkVisibility() && n.getBoundingClientRect().height < 20).map((n) => n.textContent)")
        self.assertEqual(small, [])
        docs = self.open("/docs", viewport=PHONE, is_mobile=True)
        docs.wait_for_selector(".operation")
        self.assertLessEqual(width(docs), PHONE["width"])
        # positive control: what is too wide is seen
        docs.evaluate("document.body.append(Object.assign(document.createElement('p'), {textContent: 'x'.repeat(999)}))")
        self.assertGreater(width(docs), PHONE["width"])


class Guarded(Browser):
    """A model whose labels are HTML: they are shown, not run; nor is anything else that is inline."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = str(Path(cls.folder.name) / "model")
        shutil.copytree(SMALL, cls.model)
        config = json.loads((Path(cls.model) / "config.json").read_text())
        config["id2label"] = {k: f"<img src=x onerror=window.ran=1>{k}" for k in config["id2label"]}
        config.pop("label2id", None)
        (Path(cls.model) / "config.json").write_text(json.dumps(config))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        cls.folder.cleanup()

    def test_labels_are_text(self):
        page = self.open()
        label, _ = self.classify(page, "anything")
        self.assertTrue(label.startswith("<img src=x onerror="))
        page.wait_for_timeout(500)
        self.assertIsNone(page.evaluate("window.ran || null"))
        self.assertEqual(page.locator("main img").count(), 0)
        self.assert_quiet()
        # positive control: were it put in as HTML, the policy would still stop it, and we would hear of it
        page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', document.querySelector('#label').textContent)")
        page.wait_for_timeout(500)
        self.assertIsNone(page.evaluate("window.ran || null"))
        self.assertIn("Content Security Policy", " ".join(self.complaints))


class Docs(Browser):
    DOCUMENT = {
        "openapi": "3.1.0", "info": {"title": "inferd", "description": "What it answers.", "version": "1"},
        "paths": {"/infer": {"post": {
            "summary": "Classify texts",
            "parameters": [{"name": "X-Request-Timeout-Ms", "in": "header", "description": "how long it may take"}],
            "requestBody": {"$ref": "#/components/requestBodies/Infer"},
            "responses": {"200": {"description": "one result per input"}, "429": {"$ref": "#/components/responses/Busy"}}}}},
        "components": {
            "requestBodies": {"Infer": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Infer"}}}}},
            "responses": {"Busy": {"description": "the queue is full"}},
            "schemas": {"Infer": {"type": "object", "required": ["inputs"], "properties": {
                "inputs": {"type": "array", "items": {"type": "string", "example": "it's fine"}}}}}}}

    def test_without_a_document(self):
        page = self.open("/docs")
        page.route("**/openapi.json", lambda route: route.fulfill(status=404, body="{}"))
        page.reload()
        page.wait_for_selector(".operation")
        titles = page.locator(".operation h2").all_inner_texts()
        self.assertIn("POST /infer", titles)
        self.assertIn("GET, HEAD /metrics", titles)
        self.assertEqual([u for u in self.asked if not u.startswith(self.at)], [])

    def test_with_a_document(self):
        page = self.open("/docs")
        page.route("**/openapi.json", lambda route: route.fulfill(json=self.DOCUMENT))
        page.reload()
        page.wait_for_selector(".operation")
        told = page.locator(".operation").inner_text()
        for part in ("POST /infer", "Classify texts", "X-Request-Timeout-Ms", "one result per input", "the queue is full",
                     "curl -s -X POST", """{"inputs":["it'\\''s fine"]}"""):
            self.assertIn(part, told)

    def test_as_it_is(self):
        page = self.open("/docs")
        page.wait_for_selector(".operation")
        self.assertIn("/infer", page.locator("#operations").inner_text())
        self.shot(page, "docs")


if __name__ == "__main__":
    unittest.main()
