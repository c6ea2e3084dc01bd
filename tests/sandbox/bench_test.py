#!/usr/bin/env python3
"""`pocket bench isolation` with the smallest counts: both states of what it is asked for, in rows of
the shape that all benchmarks have."""
import json
import os
import subprocess
import unittest

POCKET = os.environ["POCKET_PROGRAM"]
KEYS = {"app", "mode", "engine", "policy", "clients", "load", "calls", "errors", "mean_ms", "p50_ms",
        "p95_ms", "p99_ms", "max_ms", "throughput_per_s", "cpu_budget", "mem_budget_mb", "mechanism",
        "state"}


class BenchIsolation(unittest.TestCase):
    def test_rows(self):
        done = subprocess.run([POCKET, "bench", "isolation", "--mechanism", "all", "--mechanism",
                               "network", "--calls", "5", "--starts", "1", "--rounds", "1", "--json",
                               "-"], capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["benchmark"], "isolation")
        cells = [(row["mechanism"], row["state"], row["load"]) for row in report["rows"]]
        self.assertEqual(cells, [(mechanism, state, load) for mechanism in ("all", "network")
                                 for state in ("on", "off") for load in ("closed", "cold")])
        for row in report["rows"]:
            self.assertLessEqual(KEYS, row.keys())
            self.assertGreater(row["p50_ms"], 0)
            self.assertEqual(row["calls"], 5 if row["load"] == "closed" else 1)


if __name__ == "__main__":
    unittest.main()
