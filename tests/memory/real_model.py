"""What the tests of real models share: services of their own on a model of the demonstration."""
import array
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../process"))
from support import POCKET, PocketTest, wait_until  # noqa: E402

MODELS = os.environ["POCKET_TEST_MODELS"]
MODEL = "resnet50"


def write_input(path, shape):
    """Numbers that are neither zero nor all the same."""
    count = 1
    for size in shape:
        count *= size
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    values = array.array("f", ((index * 7919 % 255) / 255 for index in range(count)))
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values.tobytes())


class RealModelTest(PocketTest):
    def setUp(self):
        if not os.path.isdir(f"{MODELS}/{MODEL}"):
            self.skipTest(f"no model in '{MODELS}' (make models)")
        super().setUp()

    def service(self, name, config=""):
        """Folder and process of a pocketd with this configuration."""
        folder = f"{self.folder}/{name}"
        os.makedirs(folder)
        with open(f"{folder}/pocket.toml", "w", encoding="utf-8") as file:
            file.write(config)
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [os.path.join(os.path.dirname(POCKET), "pocketd"), "--config", f"{folder}/pocket.toml",
                 "--socket", f"{folder}/socket", "--models", MODELS],
                stdout=log, stderr=log)

        def end():
            process.terminate()
            process.wait(60)

        self.addCleanup(end)
        wait_until(lambda: self.status(folder), "the service")
        return folder, process

    def status(self, folder):
        answer = self.pocket("service", "status", "--json", "--socket", f"{folder}/socket")
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def runner(self, folder):
        return self.status(folder)["runners"][0]["pid"]

    def answers(self, folder):
        """The files that `pocket infer` writes, for an input that is always the same."""
        model = self.pocket("models", "inspect", MODEL, "--json", "-", "--socket", f"{folder}/socket")
        [tensor] = json.loads(model.stdout)["inputs"]
        write_input(f"{folder}/input.npy", tuple(abs(size) for size in tensor["shape"]))
        answer = self.pocket("infer", MODEL, "--input", f"{tensor['name']}={folder}/input.npy",
                             "--output-dir", f"{folder}/out", "--socket", f"{folder}/socket")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        texts = []
        for file in sorted(os.listdir(f"{folder}/out")):
            with open(f"{folder}/out/{file}", "rb") as output:
                texts.append(output.read())
        return texts
