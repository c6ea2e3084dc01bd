"""What the tests of `pocket run` share: the program, a registry of their own, a look at the groups."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

POCKET = os.environ["POCKET_PROGRAM"]


def wait_until(condition, what, seconds=30):
    """Returns the condition's first true value; fails loudly when none comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def read(path):
    with open(path, encoding="utf-8") as text:
        return text.read()


def touch(path):
    with open(path, "a", encoding="utf-8"):
        pass


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def group_trees():
    """Where cgroup trees are mounted."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        fields = [line.split() for line in mounts]
    return [field[1] for field in fields if field[2] in ("cgroup", "cgroup2")]


class PocketTest(unittest.TestCase):
    """Each test has a registry and names of its own; afterwards no group may be left."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pocket-process-")
        os.chmod(self.folder, 0o755)
        self.token = f"t{os.getpid()}x{time.monotonic_ns() % 10**9}"
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=self.folder)
        self.environment.pop("POCKET_SOCKET", None)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.end_everything)

    def end_everything(self):
        for file in glob.glob(f"{self.folder}/pocket-run/*.json"):
            with open(file, encoding="utf-8") as text:
                record = json.load(text)
            supervisor = record["supervisor"]["pid"]
            if record.get("exit_status") is None and is_running(supervisor):
                os.kill(supervisor, signal.SIGKILL)
                wait_until(lambda pid=supervisor: not is_running(pid), "the supervisor's end")
        self.pocket("ps", "--prune")
        left = self.groups()
        for path in left:
            try:
                os.rmdir(path)
            except OSError:
                pass
        self.assertEqual(left, [], "groups were left behind")

    def name(self, word="a"):
        return f"{self.token}-{word}"

    def groups(self):
        """Folders of this test's groups, in every tree."""
        found = []
        for tree in group_trees():
            found += glob.glob(f"{tree}/**/pocket-run-*{self.token}*", recursive=True)
        return sorted(found)

    def group_file(self, *names):
        """The text of the first of these files that this test's only run has."""
        for name in names:
            for group in self.groups():
                path = os.path.join(group, name)
                if os.path.exists(path):
                    with open(path, encoding="utf-8") as text:
                        return text.read().strip()
        self.fail(f"none of {names} in {self.groups()}")

    def pocket(self, *arguments, program=(), **options):
        return subprocess.run([*program, POCKET, *arguments], env=self.environment, text=True,
                              capture_output=True, timeout=60, check=False, **options)

    def start(self, *arguments, **options):
        return subprocess.Popen([POCKET, *arguments], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def listed(self, *arguments):
        answer = self.pocket("ps", "--json", *arguments)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return {row["name"]: row for row in json.loads(answer.stdout)}

    def record(self, name):
        with open(f"{self.folder}/pocket-run/{name}.json", encoding="utf-8") as text:
            return json.load(text)

    def assert_refused(self, answer, status, *words):
        self.assertEqual(answer.returncode, status, answer.stdout + answer.stderr)
        for word in words:
            self.assertIn(word, answer.stderr)


def can_limit():
    """Whether this user can have groups here: asked of the kernel, not of the program under test."""
    for tree in group_trees():
        controllers = f"{tree}/cgroup.controllers"
        offers = os.path.basename(os.path.realpath(tree))
        if os.path.exists(controllers):
            with open(controllers, encoding="utf-8") as text:
                offers = text.read()
        if "memory" in offers and os.access(tree, os.W_OK):
            return True
    return False


def main():
    result = unittest.main(verbosity=1, exit=False).result
    if result.wasSuccessful() and result.testsRun == len(result.skipped):
        for _, reason in result.skipped[:1]:
            print("skipped:", reason)
        sys.exit(77)
    sys.exit(0 if result.wasSuccessful() else 1)
