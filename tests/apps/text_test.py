"""smallbert and talkingheads: the thin client's answer is the monolithic twin's bit for bit, and both are
the reference's (tokenizers and NumPy, written beside the models by tools/make-app-models) within a
tolerance. With the models' names as arguments; --costs: what a thin client needs; --bad-input."""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../tools/app-models/bert"), os.path.join(HERE, "../support")]
from onnx_file import read_summary
from process import SKIPPED, Skip, end_on_signals, start, stop

BIN = os.environ["POCKET_BIN"]
PLUGINS = os.environ["POCKET_PLUGINS"]
MODELS = os.path.join(os.environ["POCKET_DEPS"], "app-models")
DATA = os.path.join(os.environ["POCKET_DEPS"], "app-data")
VOCABULARY = os.path.join(DATA, "bert-uncased.txt")
ENGINES = ["openvino", "onnxruntime", "tensorflow"]
# The answers are float32; what 6 or 12 layers make of another order of additions.
TOLERANCE = 2e-5
# Layers, parameters of the published encoder without what the graph leaves out, and the dense unit's.
PUBLISHED = {"all_minilm_l6_v2": (6, 22713216 - 147840), "small_bert_l4_h512_a8": (4, 28763648 + 513),
             "talkheads_ggelu_bert_en_base": (12, 137834112 + 769)}
MOST_PEAK_BYTES = 26_000_000
GOAL_PEAK_BYTES = 4_000_000  # the goal is 3 MB; the rest is room for another C library
MOST_IMAGE_BYTES = 10_000_000


def check(condition, text):
    if not condition:
        raise AssertionError(text)


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
                raise AssertionError("pocketd did not become ready")
        return self

    def __exit__(self, *_):
        stop(self.process, 20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def command(app, service, *arguments):
    """The thin client with a service, without one the twin."""
    side = ["--socket", service.socket] if service else ["--models", MODELS]
    if "--vocabulary" not in arguments:
        side += ["--vocabulary", VOCABULARY]
    return [os.path.join(BIN, app if service else f"{app}-monolithic"), *side, *arguments]


def report(app, service, *arguments):
    done = subprocess.run(command(app, service, "--json", "-", *arguments), capture_output=True,
                          text=True, check=False)
    check(done.returncode == 0, f"{app} {arguments}: {done.stderr}")
    return json.loads(done.stdout)


def engines():
    found = [name for name in ENGINES
             if os.path.exists(os.path.join(PLUGINS, f"libpocket-engine-{name}.so"))]
    if not found:
        raise Skip("no engine is built")
    return found


def joined(expected, folder):
    """The texts as one file, so that a twin loads its model once; what its lines should get."""
    contents, rows, before = b"", [], 0
    for name, wanted in expected.items():
        with open(os.path.join(DATA, "texts", name), "rb") as file:
            text = file.read().removesuffix(b"\n") + b"\n"
        rows += [{**row, "line": before + row["line"], "text": name} for row in wanted]
        before += text.count(b"\n")
        contents += text
    path = os.path.join(folder, "texts.txt")
    with open(path, "wb") as file:
        file.write(contents)
    return path, rows


def compare(model, got, wanted):
    """The greatest difference to the reference."""
    check([row["line"] for row in got] == [row["line"] for row in wanted],
          f"{model}: other lines than the reference's")
    worst = 0
    for row, reference in zip(got, wanted):
        where = f"{model}, {reference['text']}, line {row['line']} of all"
        check(row["tokens"] == len(reference["ids"]), f"{where}: {row['tokens']} tokens")
        difference = abs(row["score"] - reference["score"])
        check(difference <= TOLERANCE,
              f"{where}: {row['score']}, the reference says {reference['score']}")
        check(row["sentiment"] == reference["sentiment"] or abs(reference["score"] - 0.5) < TOLERANCE,
              f"{where}: {row['sentiment']}")
        worst = max(worst, difference)
    return worst


def app_of(model):
    return "talkingheads" if model.startswith("talkheads") else "smallbert"


def test_model(model, service):
    operators, weights = read_summary(os.path.join(MODELS, model, "1", "model.onnx"))
    count = collections.Counter(operators)
    layers, parameters = PUBLISHED[model]
    have = sum(size for name, size in weights.items() if not name.startswith("constant_"))
    check(have == parameters, f"{model} has {have} parameters, not {parameters}")
    check(count["Softmax"] == layers and count["LayerNormalization"] == 2 * layers + 1,
          f"{model} has {count['Softmax']} layers, not {layers}")
    with open(os.path.join(DATA, "bert-expected.json"), encoding="utf-8") as file:
        expected = json.load(file)[model]
    check(len(expected) == 5, f"{len(expected)} texts")
    for engine in engines():
        entry = f"{model}_tf" if engine == "tensorflow" else model
        if not os.path.exists(os.path.join(MODELS, entry)):
            print(f"{model}, {engine}: no SavedModel (tools/setup-tensorflow, tools/make-app-models)")
            continue
        path, wanted = joined(expected, service.folder)
        # Two lines a call, so that the one long line does not pad all others.
        arguments = ["--model", entry, "--engine", engine, "--batch", "2", "--input", path]
        thin = report(app_of(model), service, *arguments)
        whole = report(app_of(model), None, *arguments)
        check(thin["engine"] == whole["engine"] == engine, f"{thin['engine']} answered")
        check(thin["result"] == whole["result"],
              f"{model}, {engine}: Pocket's answer is not the monolithic twin's")
        print(f"{model}, {engine}: {len(wanted)} lines of {len(expected)} texts, Pocket = monolithic; "
              f"at most {compare(model, thin['result'], wanted):.1e} from the reference", flush=True)


def test_batches(service):
    """A text of many batches gets what it gets in one, and leaves nothing of the last behind."""
    text = os.path.join(DATA, "opinions.txt")
    one = report("smallbert", service, "--input", text, "--batch", "64")["result"]
    many = report("smallbert", service, "--input", text, "--batch", "2")["result"]
    check([row["line"] for row in one] == [row["line"] for row in many], "lines were lost")
    worst = max(abs(a["score"] - b["score"]) for a, b in zip(one, many))
    check(worst <= TOLERANCE, f"batches differ by {worst}")
    check([row["sentiment"] for row in one] == ["positive", "negative", "neutral"] * 5,
          f"the opinions were judged {[row['sentiment'] for row in one]}")


def test_costs(service):
    """As much text as the paper's: some 9,000 bytes in 41 lines of up to 128 tokens."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        for line in range(41):
            file.write("" if line % 2 else "The film that we saw on day %d was long. " % line * 11)
            file.write("\n")
        file.flush()
        arguments = ["--model", "small_bert_l4_h512_a8", "--input", file.name, "--batch", "64"]
        report("smallbert", service, *arguments)  # loads the model
        memory = report("smallbert", service, *arguments)["memory"]
    check(0 < memory["peak_rss_bytes"] <= MOST_PEAK_BYTES, f"peak {memory['peak_rss_bytes']}")
    check(memory["peak_rss_bytes"] <= GOAL_PEAK_BYTES,
          f"a thin client needed {memory['peak_rss_bytes']} bytes, against the goal of 3 MB")
    image = os.path.getsize(VOCABULARY)
    with tempfile.TemporaryDirectory() as folder:
        stripped = os.path.join(folder, "app")
        subprocess.run(["strip", "-o", stripped, os.path.join(BIN, "smallbert")], check=True)
        image += os.path.getsize(stripped)
        headers = subprocess.run(["readelf", "-l", stripped], capture_output=True, text=True,
                                 check=True).stdout
    check("INTERP" not in headers, "the app needs a dynamic loader, so it is no image of one file")
    check(image <= MOST_IMAGE_BYTES, f"the image has {image} bytes")
    print(f"a thin client: peak {memory['peak_rss_bytes'] / 1e6:.1f} MB, holding an answer "
          f"{memory['pss_bytes'] / 1e6:.1f} MB; image (program and vocabulary) {image / 1e6:.1f} MB")


def test_bad_input(service):
    def fails(pattern, *arguments):
        done = subprocess.run(command("smallbert", service, *arguments), capture_output=True,
                              text=True, check=False)
        check(done.returncode == 1 and re.search(pattern, done.stderr),
              f"{arguments}: status {done.returncode}, '{done.stderr.strip()}'")

    with tempfile.TemporaryDirectory() as folder:
        def write(name, contents):
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(contents)
            return path

        text = write("text", b"a line\n")
        fails("no line that is not blank", "--input", write("empty", b""))
        fails("no line that is not blank", "--input", write("blank", b" \n\t\r\n\n"))
        fails("cannot open", "--input", os.path.join(folder, "nowhere"))
        fails("cannot read", "--input", folder)
        fails("more than 16777216 bytes", "--input", write("large", b"x\n" * (9 << 20)))
        fails("is no BERT vocabulary", "--input", text, "--vocabulary", text)
        fails("wants a vocabulary of 30522 pieces", "--input", text, "--vocabulary",
              write("pieces", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n"))
        # Anything is a text: random bytes, and one line of a megabyte.
        noise = write("noise", bytes(value * 7919 % 251 for value in range(20000)))
        for name in (noise, write("one_line", b"word " * 200_000)):
            rows = report("smallbert", service, "--input", name)["result"]
            check(rows and all(-2 <= row["score"] <= 2 for row in rows), "no scores")
        check(rows[0]["truncated"] and rows[0]["tokens"] == 256, "the long line was not cut")


def main():
    end_on_signals()
    if not os.path.exists(os.path.join(DATA, "bert-expected.json")):
        raise Skip("no models (tools/make-app-models)")
    engines()
    with Service() as service:
        for argument in sys.argv[1:]:
            if argument == "--costs":
                test_costs(service)
            elif argument == "--bad-input":
                test_bad_input(service)
                test_batches(service)
            else:
                test_model(argument, service)


if __name__ == "__main__":
    try:
        main()
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
