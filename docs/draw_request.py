#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw docs/request.svg: the way of a request, which thread owns it, and the two hand-overs."""

from pathlib import Path

STEPS = {
    "I/O thread (libuv)": [("bytes", "socket"), ("parse", "HTTP/1.1"), ("decode", "JSON"), ("tokenise", "WordPiece"), ("admit", "limits")],
    "compute threads": [("queue", "by arrival"), ("ragged batch", "no padding"), ("forward", "fp32 tiers"), ("scores", "softmax")],
    "I/O thread ": [("encode", "JSON"), ("bytes", "socket")],
}
BOX_W, BOX_H, GAP, LEFT, TOP, LANE = 118, 54, 22, 24, 46, 116
FILL = {"I/O thread (libuv)": "#e3f0fb", "compute threads": "#fdf0da", "I/O thread ": "#e3f0fb"}

out, width = [], 0
for lane, (title, steps) in enumerate(STEPS.items()):
    y = TOP + lane * LANE
    out.append(f'<text x="{LEFT + BOX_W + GAP if lane else LEFT}" y="{y - 12}" class="lane">{title.strip()}</text>')
    for i, (name, note) in enumerate(steps):
        x = LEFT + i * (BOX_W + GAP)
        width = max(width, x + BOX_W + LEFT)
        out.append(f'<rect x="{x}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="7" fill="{FILL[title]}" stroke="#5b6b7b"/>')
        out.append(f'<text x="{x + BOX_W / 2}" y="{y + 24}" class="name">{name}</text>')
        out.append(f'<text x="{x + BOX_W / 2}" y="{y + 42}" class="note">{note}</text>')
        if i:
            out.append(f'<path d="M{x - GAP + 2} {y + BOX_H / 2} H{x - 3}" class="arrow"/>')
    if lane:
        above = len(list(STEPS.values())[lane - 1])
        x = LEFT + (above - 1) * (BOX_W + GAP) + BOX_W / 2
        top = y - LANE + BOX_H
        mid = top + 22
        out.append(f'<path d="M{x} {top + 2} V{mid} H{LEFT + BOX_W / 2} V{y - 3}" class="arrow hand"/>')
        out.append(f'<text x="{x - 10}" y="{mid - 5}" class="note" style="text-anchor:end">hand-over {lane}: the request changes owner</text>')
height = TOP + len(STEPS) * LANE - LANE + BOX_H + 18
svg = f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="The way of a request">
<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#344"/></marker></defs>
<style>text{{font-family:system-ui,sans-serif;fill:#1b2733}}.lane{{font-size:14px;font-weight:600}}.name{{font-size:14px;text-anchor:middle;font-weight:600}}.note{{font-size:11.5px;text-anchor:middle;fill:#44525f}}.arrow{{stroke:#344;fill:none;stroke-width:1.6;marker-end:url(#a)}}.hand{{stroke-dasharray:5 3}}</style>
<rect width="{width}" height="{height}" fill="#fff"/>
{chr(10).join(out)}
</svg>
'''
Path(__file__).with_name("request.svg").write_text(svg, encoding="utf-8")
