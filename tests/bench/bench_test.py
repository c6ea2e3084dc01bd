"""Every benchmark with few calls: its JSON has the documented shape and sane figures, and nothing of it
is left, also when it is ended early."""
import glob
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

POCKET = os.environ["POCKET_PROGRAM"]
MODELS = os.environ["POCKET_MODELS"]


def group_trees():
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        fields = [line.split() for line in mounts]
    return [field[1] for field in fields if field[2] in ("cgroup", "cgroup2")]


def can_lend():
    """Whether groups can be made here: every controller's tree that is mounted can be written to."""
    return os.geteuid() == 0 and any(os.access(tree, os.W_OK) for tree in group_trees())


class Bench(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="pocket-bench-test-")
        self.addCleanup(self.temporary.cleanup)
        self.environment = dict(os.environ, TMPDIR=self.temporary.name)

    def start(self, *arguments):
        return subprocess.Popen([POCKET, "bench", *arguments], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def bench(self, name, *arguments):
        process = self.start(name, "--json", "-", *arguments)
        out, err = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 0, err)
        report = json.loads(out)
        self.assertEqual(report["benchmark"], name)
        for key in ("cpus", "cpu_model", "kernel", "cgroup"):
            self.assertIn(key, report["host"])
        self.assertTrue(report["rows"])
        self.assert_nothing_left()
        return report["rows"]

    def assert_nothing_left(self):
        self.assertEqual(self.groups(), [])
        self.assertEqual(os.listdir(self.temporary.name), [])
        self.assertEqual(self.processes(), [])

    def groups(self):
        return [group for tree in group_trees() for group in glob.glob(f"{tree}/pocket-bench*")]

    def processes(self):
        """Processes that were started with this test's temporary folder and still run."""
        mark = f"TMPDIR={self.temporary.name}".encode()
        found = []
        for path in glob.glob("/proc/[0-9]*/environ"):
            try:
                with open(path, "rb") as environment:
                    if mark in environment.read().split(b"\0"):
                        found.append(int(path.split("/")[2]))
            except OSError:
                pass
        return found

    def assert_latency_row(self, row):
        self.assertGreater(row["calls"], 0)
        self.assertEqual(row["errors"], 0)
        self.assertLessEqual(row["p50_ms"], row["p95_ms"])
        self.assertLessEqual(row["p95_ms"], row["p99_ms"])
        self.assertLessEqual(row["p99_ms"], row["max_ms"])

    def test_ipc(self):
        rows = self.bench("ipc", "--calls", "100", "--rounds", "1", "--bytes", "4096")
        for transport in ("pocket", "floor"):
            for wait in ("spin", "park"):
                found = [row for row in rows if (row["transport"], row["wait"]) == (transport, wait)]
                self.assertTrue(found, f"no row for {transport}, {wait}")
                self.assertLessEqual(found[0]["p50_us"], found[0]["p99_us"])

    def test_latency_closed_and_cold(self):
        rows = self.bench("latency", "--models", MODELS, "--apps", "mobilenetv2", "--load",
                          "closed,cold", "--clients", "1", "--cold-clients", "1", "--seconds", "0.3",
                          "--rounds", "1", "--cold-starts", "1")
        modes = {(row["mode"], row["load"]) for row in rows}
        self.assertLessEqual({("pocket", "closed"), ("monolithic", "closed"), ("pocket", "cold"),
                              ("monolithic", "cold")}, modes)
        for row in rows:
            self.assert_latency_row(row)

    @unittest.skipUnless(can_lend(), "no budgets here: control groups cannot be changed")
    def test_burst_with_budgets(self):
        rows = self.bench("latency", "--models", MODELS, "--apps", "mobilenetv2", "--load", "burst",
                          "--budget", "equal", "--clients", "2", "--seconds", "1", "--rounds", "1",
                          "--utilisation", "0.5", "--policy", "none", "--policy",
                          "adaptive,ratio,0.9")
        policies = {(row["mode"], row["policy"]) for row in rows}
        self.assertIn(("pocket", "adaptive,ratio,0.9"), policies)
        for row in rows:
            self.assert_latency_row(row)
            self.assertAlmostEqual(row["cpu_budget"], 0.4)

    @unittest.skipUnless(can_lend(), "no budgets here: control groups cannot be changed")
    def test_eval_policy(self):
        rows = self.bench("eval-policy", "--models", MODELS, "--vary", "cpu", "--step", "0.5",
                          "--seconds", "0.5", "--rounds", "1")
        self.assertEqual([row["cpu_ratio"] for row in rows], [0, 0.5])
        self.assertEqual([row["mem_ratio"] for row in rows], [0, 0])
        for row in rows:
            self.assert_latency_row(row)
            self.assertEqual(row["lent_cpu_mean"] > 0, row["cpu_ratio"] > 0)
            self.assertGreaterEqual(row["throttled_ratio"], 0)

    @unittest.skipUnless(can_lend(), "no budgets here: control groups cannot be changed")
    def test_lend(self):
        rows = self.bench("lend", "--calls", "50", "--rounds", "1", "--policy", "func,ratio,0.5")
        cost = [row for row in rows if row["measure"] == "cost"][0]
        self.assertGreater(cost["loans"], 0)
        self.assertGreater(cost["pocketd_cpu_us"], cost["raw_writes_warm_cpu_us"])
        policies = [row["policy"] for row in rows if row["measure"] == "latency"]
        self.assertEqual(policies, ["off", "none", "func,ratio,0.5"] * 2)

    @unittest.skipUnless(can_lend(), "no budgets here: control groups cannot be changed")
    def test_ended_early(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start("latency", "--models", MODELS, "--apps", "mobilenetv2", "--load",
                                 "closed", "--budget", "equal", "--clients", "2", "--seconds", "60")
            end = time.monotonic() + 60
            while not self.groups() and time.monotonic() < end and process.poll() is None:
                time.sleep(0.01)
            self.assertTrue(self.groups(), "no group was made")
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number)
            self.assertIn("ended early", err)
            end = time.monotonic() + 30  # pocketd ends by itself, soon
            while self.processes() and time.monotonic() < end:
                time.sleep(0.01)
            self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main(verbosity=2)
