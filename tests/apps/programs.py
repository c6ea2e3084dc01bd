"""What the tests of the apps share: where things are, a service with all models, a run of an app."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../support")]
from process import Skip, start, stop  # noqa: E402

BIN = os.environ["POCKET_BIN"]
PLUGINS = os.environ["POCKET_PLUGINS"]
DEPS = os.environ["POCKET_DEPS"]
MODELS = os.path.join(DEPS, "app-models")
DATA = os.path.join(DEPS, "app-data")
VOCABULARY = os.path.join(DATA, "bert-uncased.txt")
# The default model of each app, and what smallbert runs in the paper.
MODELS_OF = {"mobilenetv2": ["mobilenetv2"], "resnet50": ["resnet50"],
             "smallbert": ["all_minilm_l6_v2", "small_bert_l4_h512_a8"],
             "ssdmobilenetv2_320x320": ["ssdmobilenetv2_320x320"],
             "ssdresnet50v1_640x640": ["ssdresnet50v1_640x640"],
             "talkingheads": ["talkheads_ggelu_bert_en_base"]}
ENGINES = ["openvino", "onnxruntime", "tensorflow"]
ATTEMPTS = 10


class Failure(Exception):
    """What is wrong, for the person who runs the test."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def is_text_app(app):
    return app in ("smallbert", "talkingheads")


def is_built(engine):
    return os.path.exists(os.path.join(PLUGINS, f"libpocket-engine-{engine}.so"))


def need_models(models):
    for model in models:
        if not os.path.exists(os.path.join(DATA, "references", f"{model}.onnxruntime.json")):
            raise Skip(f"no model '{model}' with its references (tools/make-app-models)")


class Service:
    """pocketd with the apps' models, in a folder of its own."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pocket-apps-")
        os.chmod(self.folder, 0o755)
        self.socket = os.path.join(self.folder, "pocket.sock")
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        ready, ready_end = os.pipe()
        self.process = start([f"{BIN}/pocketd", "--socket", self.socket, "--models", MODELS,
                              "--ready-fd", str(ready_end)], pass_fds=[ready_end],
                             stderr=self.log, stdout=self.log)
        os.close(ready_end)
        with os.fdopen(ready, "rb") as end:
            if not end.read(1):
                self.__exit__()
                raise Failure("pocketd did not become ready")
        return self

    def __exit__(self, *_):
        stop(self.process, 20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def command(app, service, *arguments):
    """The thin client with a service, without one the twin."""
    side = ["--socket", service.socket] if service else ["--models", MODELS]
    if is_text_app(app) and "--vocabulary" not in arguments:
        side += ["--vocabulary", VOCABULARY]
    return [os.path.join(BIN, app if service else f"{app}-monolithic"), *side, *arguments]


def attempt(app, service, *arguments):
    """The finished process. On a busy machine loading a large model takes longer than a client waits: the
    service goes on with it, so the client asks again, as it is told to."""
    for _ in range(ATTEMPTS):
        done = subprocess.run(command(app, service, *arguments), capture_output=True, text=True,
                              check=False)
        if done.returncode == 0 or "try again later" not in done.stderr:
            break
    return done


def report(app, service, *arguments):
    done = attempt(app, service, "--json", "-", *arguments)
    check(done.returncode == 0, f"{app} {' '.join(arguments)}: {done.stderr.strip()}")
    return json.loads(done.stdout)
