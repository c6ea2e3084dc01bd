"""Limits of pocket run: really in force, in a group that the program is in from the start."""
import json
import os
import subprocess
import sys
import unittest

from support import PocketTest, can_limit, is_running, main

HOG = "x = bytearray({0} << 20); print(len(x) >> 20)"
SPIN = "import time\nend = time.monotonic() + {0}\nwhile time.monotonic() < end: pass"


def is_v1(group):
    return not os.path.exists(os.path.join(group, "cgroup.controllers"))


@unittest.skipUnless(can_limit(), "this user may not make cgroups here")
class Limits(PocketTest):
    def blocked(self, *options):
        """A program that waits for its input, so that its group can be read meanwhile."""
        process = self.start("run", "-t", self.name(), *options, "--", "sh", "-c",
                             "cat /proc/self/cgroup; echo; cat", stdin=subprocess.PIPE)
        places = []
        while (line := process.stdout.readline().strip()) != "":
            places.append(line)
        self.addCleanup(self.end, process)
        return process, places

    @staticmethod
    def end(process):
        """Its program reads to the end of its input."""
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
        process.stderr.close()
        return process.returncode

    def test_files_hold_them(self):
        process, _ = self.blocked("-m", "64m", "-c", "0.25")
        self.assertEqual(self.group_file("memory.limit_in_bytes", "memory.max"), str(64 << 20))
        self.assertIn(self.group_file("cpu.cfs_quota_us", "cpu.max"), ("25000", "25000 100000"))
        row = self.listed()[self.name()]
        self.assertEqual(row["limits"]["memory_bytes"], 64 << 20)
        self.assertEqual(row["limits"]["cpus"], 0.25)
        self.assertEqual(self.end(process), 0)
        self.assertEqual(self.groups(), [])

    def test_the_first_instruction_is_inside(self):
        for options in (("-m", "64m"), ("-c", "0.5"), ()):
            process, places = self.blocked(*options)
            inside = [place for place in places if self.token in place]
            self.assertEqual(len(inside), len(self.groups()), places)
            self.assertTrue(inside)
            self.end(process)

    def test_too_much_memory_is_death(self):
        self.assertEqual(self.pocket("run", "-m", "128m", "--", sys.executable, "-c",
                                     HOG.format(64)).stdout, "64\n")
        answer = self.pocket("run", "-t", self.name(), "-m", "32m", "--", sys.executable, "-c",
                             HOG.format(200))
        self.assert_refused(answer, 137, self.name(), "memory limit of 32.0 MiB")
        self.assertEqual(answer.stdout, "")

    def test_processor_time(self):
        report = f"{self.folder}/report.json"
        answer = self.pocket("run", "-t", self.name(), "-c", "0.2", "--measure-latency", "--rusage",
                             report, "--", sys.executable, "-c", SPIN.format(1.5))
        self.assertEqual(answer.returncode, 0, answer.stderr)
        with open(report, encoding="utf-8") as text:
            used = json.load(text)
        share = used["cpu_total_ns"] / 1e6 / (used["exit_ms"] - used["exec_ms"])
        self.assertGreater(share, 0.02)
        self.assertLess(share, 0.3)
        self.assertGreater(used["throttled_periods"], 0)
        self.assertLessEqual(used["throttled_periods"], used["periods"])
        self.assertEqual(used["source"], "group")

    def test_each_of_several_has_a_group_with_the_whole_limit(self):
        process = self.start("run", "-t", self.name(), "--count", "2", "-m", "48m", "--", "sh", "-c",
                             "echo ready; cat", stdin=subprocess.PIPE)
        for _ in range(2):
            process.stdout.readline()
        limits = [os.path.join(group, file) for group in self.groups()
                  for file in ("memory.limit_in_bytes", "memory.max")
                  if os.path.exists(os.path.join(group, file))]
        self.assertEqual(len(limits), 2)
        for limit in limits:
            with open(limit, encoding="utf-8") as text:
                self.assertEqual(text.read().strip(), str(48 << 20))
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)

    def test_usage_includes_the_whole_group(self):
        """The child's child, which nobody waits for, counts too."""
        report = f"{self.folder}/report.json"
        spin = f"{sys.executable} -c '{SPIN.format(0.3)}'"
        self.pocket("run", "--rusage", report, "--", "sh", "-c",
                    f"setsid sh -c \"$0\" & while ! [ -e {self.folder}/done ]; do sleep 0.02; done",
                    f"{spin}; touch {self.folder}/done")
        with open(report, encoding="utf-8") as text:
            used = json.load(text)
        self.assertGreater(used["cpu_total_ns"], 50_000_000)
        self.assertGreater(used["memory_peak_bytes"], 1 << 20)

    def test_what_the_program_leaves_behind_ends_with_it(self):
        answer = self.pocket("run", "-t", self.name(), "--", "sh", "-c",
                             "setsid sleep 1000 > /dev/null 2>&1 & echo $!")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertFalse(is_running(int(answer.stdout)))

    def test_oom_kill_disable(self):
        process = self.start("run", "-t", self.name(), "-m", "32m", "--oom-kill-disable", "--", "sh",
                             "-c", "echo ready; cat", stdin=subprocess.PIPE)
        if process.stdout.readline() == "ready\n":
            self.assertTrue(is_v1(self.groups()[0]))
            self.assertIn("oom_kill_disable 1", self.group_file("memory.oom_control"))
            process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0)
        else:
            error = process.communicate(timeout=30)[1]
            self.assertEqual(process.returncode, 1)
            self.assertIn("cgroup v2 has no such switch", error)

    def test_a_program_that_cannot_start_leaves_no_group(self):
        self.assert_refused(self.pocket("run", "-t", self.name(), "-m", "32m", "--", "no-such-program"),
                            1, "no-such-program")
        self.assertEqual(self.groups(), [])


if __name__ == "__main__":
    main()
