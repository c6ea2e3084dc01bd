"""What a model need not hold in memory lies in a file without a name; without one it loads as well.

With a real model: two services, one of them with `engines.scratch_dir`, give the same bytes.
"""
import os
import re
import resource
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_model import MODEL, POCKET, RealModelTest  # noqa: E402
from support import is_running, main, read, wait_until  # noqa: E402

ENGINES = os.environ["POCKET_TEST_ENGINES"]
FILE_BYTES = 102_000_000  # of the model, about


class ScratchTest(RealModelTest):
    def setUp(self):
        super().setUp()
        # Beside the program: a folder for temporary files may lie in memory.
        self.scratch = tempfile.mkdtemp(prefix="scratch-", dir=os.path.dirname(POCKET))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)

    def service_with(self, name, scratch, engine="openvino"):
        return self.service(name, f"[engines]\ndefault = '{engine}'\nscratch_dir = '{scratch}'\n")

    def resident(self, folder):
        """Bytes of each mapping of a scratch file that the runner has, and how many of them are in memory."""
        found = []
        mapping = None
        for line in read(f"/proc/{self.runner(folder)}/smaps").splitlines():
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)", line)
            if head:
                mapping = int(head[2], 16) - int(head[1], 16) if head[3].startswith(self.scratch) else None
            elif mapping and line.startswith("Rss:"):
                found.append((mapping, int(line.split()[1]) * 1024))
        return found

    def test_the_weights_that_were_copied_lie_in_a_file(self):
        with_it, process = self.service_with("with", self.scratch)
        without, _ = self.service_with("without", "")
        answer = self.answers(with_it)
        self.assertTrue(answer and answer == self.answers(without))
        [(size, resident)] = self.resident(with_it)
        self.assertGreater(size, 0.9 * FILE_BYTES)
        self.assertLess(resident, 0.1 * size)
        self.assertEqual(self.resident(without), [])
        used = [each["runners"][0]["memory_bytes"] for each in map(self.status, (with_it, without))]
        print(f"runner: {used[0] / 1e6:.0f} MB with a scratch file, {used[1] / 1e6:.0f} without")
        self.assertLess(used[0], used[1] - 0.5 * FILE_BYTES)
        # Nothing is left, however it ends.
        self.assertEqual(os.listdir(self.scratch), [])
        runner = self.runner(with_it)
        process.kill()
        os.kill(runner, 9)
        wait_until(lambda: not is_running(runner), "the runner's end")
        self.assertEqual(os.listdir(self.scratch), [])

    def test_onnxruntime_reads_its_weights_where_they_lie(self):
        if "onnxruntime" not in ENGINES:
            self.skipTest("ONNX Runtime was not found")
        with_it, _ = self.service_with("with", self.scratch, "onnxruntime")
        without, _ = self.service_with("without", "", "onnxruntime")
        answer = self.answers(with_it)
        self.assertTrue(answer and answer == self.answers(without))
        [(size, _)] = self.resident(with_it)
        self.assertGreater(size, 0.9 * FILE_BYTES)
        self.assertEqual(self.resident(without), [])

    def loads_without(self, folder, *words):
        self.assertTrue(self.answers(folder))
        self.assertEqual(self.resident(folder), [])
        lines = [line for line in read(f"{folder}/log").splitlines() if "scratch_dir" in line]
        self.assertEqual(len(lines), 1, lines)
        for word in (MODEL, *words):
            self.assertIn(word, lines[0])

    def test_a_folder_that_is_not_there_is_done_without(self):
        folder, _ = self.service_with("none", f"{self.scratch}/none")
        self.loads_without(folder, "stays in memory", "No such file")

    def test_a_file_that_cannot_grow_is_done_without(self):
        folder, process = self.service_with("full", self.scratch)
        # Its runners have it from their start.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FILE_BYTES // 2, FILE_BYTES // 2))
        self.loads_without(folder, "stay in memory", "File too large")


if __name__ == "__main__":
    sys.exit(main())
