# SPDX-License-Identifier: Apache-2.0
"""The pure parts of the serving scripts. Each verdict of absence has a series that must be caught."""

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "serving"))

import memory  # noqa: E402
import sched_trace  # noqa: E402
import serving  # noqa: E402
import stats  # noqa: E402


class Lines(unittest.TestCase):
    def test_median(self):
        self.assertEqual(stats.median([3, 1, 2]), 2)
        self.assertEqual(stats.median([4, 1, 2, 3]), 2.5)
        with self.assertRaises(ValueError):
            stats.median([])

    def test_an_exact_line(self):
        line = stats.least_squares([(x, 3.0 * x - 7.0) for x in range(10)])
        self.assertAlmostEqual(line.slope, 3.0)
        self.assertAlmostEqual(line.intercept, -7.0)
        self.assertAlmostEqual(line.slope_error, 0.0)

    def test_a_known_regression(self):
        line = stats.least_squares([(1, 2), (2, 5), (3, 3), (4, 6), (5, 7)])
        self.assertAlmostEqual(line.slope, 1.1)
        self.assertAlmostEqual(line.intercept, 1.3)
        self.assertAlmostEqual(line.slope_error, (5.1 / 3 / 10) ** 0.5)

    def test_too_little(self):
        self.assertEqual(stats.least_squares([(0, 1), (1, 2)]).slope_error, float("inf"))
        for points in ([(1, 1)], [(1, 1), (1, 2), (1, 3)]):
            with self.assertRaises(ValueError):
                stats.least_squares(points)

    def test_after_warmup(self):
        points = [(float(x), 0.0) for x in range(11)]
        self.assertEqual([p[0] for p in stats.after_warmup(points, 0.3)], [3, 4, 5, 6, 7, 8, 9, 10])

    def test_percentile_needs(self):
        self.assertEqual(stats.percentile_needs(500000), 20)
        self.assertEqual(stats.percentile_needs(990000), 1000)


class Growth(unittest.TestCase):
    PAGE = 4096

    def series(self, per_million, noise_pages=3, n=60, seed=1):
        """Samples over two million requests with page-sized noise, warm-up jump included."""
        draw = random.Random(seed)
        found = []
        for i in range(n):
            requests = 2_000_000 * i // n
            rss = 5_000_000 + (800_000 if i > n // 10 else 0) + per_million * requests / 1e6
            rss += self.PAGE * draw.randint(0, noise_pages)
            found.append({"at_s": float(i), "requests": requests, "rss_bytes": rss - rss % self.PAGE,
                          "fds": 40 + draw.randint(0, 2)})
        return found

    def verdict(self, samples):
        return memory.judge(samples, 0.3, 262144.0, 20.0)

    def test_noise_alone_is_no_growth(self):
        for seed in range(200):
            v = self.verdict(self.series(0, seed=seed))
            self.assertFalse(v["rss_bytes"]["grows"], seed)
            self.assertFalse(v["fds"]["grows"], seed)

    def test_a_leak_is_caught(self):
        for seed in range(50):  # one byte per request is four times the limit, half a byte twice
            self.assertTrue(self.verdict(self.series(1_000_000, seed=seed))["rss_bytes"]["grows"], seed)
            self.assertTrue(self.verdict(self.series(524_288, seed=seed))["rss_bytes"]["grows"], seed)

    def test_a_leak_of_files_is_caught(self):
        samples = self.series(0)
        for i, s in enumerate(samples):
            s["fds"] += i * 3
        self.assertTrue(self.verdict(samples)["fds"]["grows"])
        self.assertFalse(self.verdict(samples)["rss_bytes"]["grows"])

    def test_growth_below_the_limit_is_none(self):
        self.assertFalse(self.verdict(self.series(50_000, noise_pages=0))["rss_bytes"]["grows"])

    def test_one_outlier_is_no_growth(self):
        samples = self.series(0, noise_pages=0)
        samples[-1]["rss_bytes"] += 3_000_000
        self.assertFalse(self.verdict(samples)["rss_bytes"]["grows"])

    def test_too_few_samples_are_an_error_not_a_pass(self):
        with self.assertRaises(serving.Failed):
            self.verdict(self.series(0, n=7))


def row(at_s, ok=100, p99=10.0, refused=0, failed=0):
    found = {"at_s": at_s, "begun": ok, "ok": ok, "refused": refused, "failed": failed}
    return found | ({"p99_ms": p99, "p50_ms": p99 / 2} if ok else {})


class Recovery(unittest.TestCase):
    def back(self, rows, hold=2):
        return stats.recovery_s(rows, 20.0, 0.01, hold)

    def test_at_once(self):
        self.assertEqual(self.back([row(1.0), row(2.0)]), 0.0)

    def test_p99_and_errors_both_count(self):
        slow, refusing, silent = row(1.0, p99=21.0), row(1.0, refused=2), row(1.0, ok=0)
        for first in (slow, refusing, silent, row(1.0, failed=2)):
            self.assertEqual(self.back([first, row(2.0), row(3.0)]), 1.0)

    def test_a_relapse_starts_anew(self):
        self.assertEqual(self.back([row(1.0), row(2.0, p99=50.0), row(3.0), row(4.0)]), 2.0)

    def test_never(self):
        self.assertIsNone(self.back([row(1.0, p99=50.0), row(2.0)]))
        self.assertIsNone(self.back([]))

    def test_limits_come_from_the_undisturbed_run(self):
        p99, share = stats.limits_of([row(1.0), row(2.0, p99=30.0), row(3.0, ok=0), row(4.0, failed=25)], 1.5)
        self.assertAlmostEqual(p99, 45.0)
        self.assertAlmostEqual(share, 0.21)
        with self.assertRaises(ValueError):
            stats.limits_of([row(1.0, ok=0)], 1.5)


class Blame(unittest.TestCase):
    """Thread 7 computes, thread 9 loads, anything else is 5."""

    def after(self, *lines):
        blame = sched_trace.Blame({7}, {9})
        for cpu, ms, event in lines:
            name, _, rest = event.partition(" ")
            sched_trace.feed(blame, f"  x-1  [00{cpu}] d..2. {100 + ms / 1e3:.6f}: sched_{name}: {rest}")
        return blame

    @staticmethod
    def switch(previous, state, to):
        return f"switch prev_comm=a prev_pid={previous} prev_prio=120 prev_state={state} ==> next_comm=b next_pid={to} next_prio=120"

    @staticmethod
    def wake(pid, cpu):
        return f"wakeup comm=a pid={pid} prio=120 target_cpu=00{cpu}"

    def test_woken_behind_the_loader(self):
        blame = self.after((0, 0, self.switch(5, "S", 9)), (1, 1, self.wake(7, 0)), (0, 4, self.switch(9, "R+", 7)))
        self.assertAlmostEqual(blame.figures()["longest_ms"], 3.0)
        self.assertEqual(blame.figures()["over_2_ms"], 1)

    def test_switched_out_for_it(self):
        blame = self.after((0, 0, self.switch(7, "R", 9)), (0, 1.5, self.switch(9, "S", 7)))
        self.assertAlmostEqual(blame.figures()["longest_ms"], 1.5)
        self.assertEqual(blame.figures()["over_2_ms"], 0)

    def test_others_and_sleep_are_not_the_loaders(self):
        for lines in ([(0, 0, self.switch(7, "R", 5)), (0, 4, self.switch(5, "S", 7))],
                      [(0, 0, self.switch(7, "S", 9)), (0, 4, self.switch(9, "S", 7))],
                      [(0, 0, self.switch(5, "S", 9)), (1, 1, self.wake(7, 1)), (1, 4, self.switch(5, "S", 7))]):
            self.assertEqual(self.after(*lines).figures()["waits"], 0, lines)

    def test_short_waits_on_one_batch_add_up(self):
        lines = [e for i in range(5) for e in ((0, i, self.switch(7, "R", 9)), (0, i + 0.5, self.switch(9, "S", 7)))]
        self.assertAlmostEqual(self.after(*lines).figures()["most_within_10_ms"], 2.5)


if __name__ == "__main__":
    unittest.main()
