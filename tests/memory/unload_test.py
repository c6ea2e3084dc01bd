"""A model that is loaded in several engines is unloaded from all of them, or from the one that is named."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_model import MODEL, RealModelTest  # noqa: E402
from support import main, wait_until  # noqa: E402

ENGINES = ("onnxruntime", "openvino")


class UnloadTest(RealModelTest):
    def setUp(self):
        super().setUp()
        self.at, _ = self.service("service")

    def models(self, command, *more):
        return self.pocket("models", command, MODEL, "--socket", f"{self.at}/socket", *more)

    def loaded(self):
        return sorted(runner["engine"] for runner in self.status(self.at)["runners"])

    def load_in_both(self):
        for engine in ENGINES:
            done = self.models("load", "--engine", engine)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.loaded(), list(ENGINES))

    def test_from_all_engines(self):
        self.load_in_both()
        self.assertEqual(self.models("unload").returncode, 0)
        wait_until(lambda: not self.loaded(), "the runners' ends")
        self.assert_refused(self.models("unload"), 1, "is not loaded")

    def test_from_one_engine(self):
        self.load_in_both()
        self.assertEqual(self.models("unload", "--engine", "openvino").returncode, 0)
        wait_until(lambda: self.loaded() == ["onnxruntime"], "the runner's end")
        self.assert_refused(self.models("unload", "--engine", "openvino"), 1,
                            "is not loaded in engine 'openvino', but in onnxruntime")
        self.assertEqual(self.models("unload").returncode, 0)
        wait_until(lambda: not self.loaded(), "the runner's end")


if __name__ == "__main__":
    sys.exit(main())
