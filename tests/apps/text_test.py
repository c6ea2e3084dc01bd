"""The text apps: their models have the published sizes, and answer what NumPy computes without any
framework (--models); texts of many batches, bad input (--bad-input). What engines and frameworks answer
is compared by matrix.py."""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

import programs
from programs import DATA, MODELS, Failure, Service, check, command, report
from process import SKIPPED, Skip, end_on_signals

sys.path.insert(0, os.path.join(programs.HERE, "../../tools/app-models/bert"))
from onnx_file import read_summary  # noqa: E402

TOLERANCE = 2e-5  # what 6 or 12 layers make of another order of additions
# Layers, parameters of the published encoder without what the graph leaves out, and the dense unit's.
PUBLISHED = {"all_minilm_l6_v2": (6, 22713216 - 147840), "small_bert_l4_h512_a8": (4, 28763648 + 513),
             "talkheads_ggelu_bert_en_base": (12, 137834112 + 769)}


def test_models():
    with open(os.path.join(DATA, "bert-expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    for model, (layers, parameters) in PUBLISHED.items():
        operators, weights = read_summary(os.path.join(MODELS, model, "1", "model.onnx"))
        count = collections.Counter(operators)
        have = sum(size for name, size in weights.items() if not name.startswith("constant_"))
        check(have == parameters, f"{model} has {have} parameters, not {parameters}")
        check(count["Softmax"] == layers and count["LayerNormalization"] == 2 * layers + 1,
              f"{model} has {count['Softmax']} layers, not {layers}")
        for framework in ("onnxruntime", "tensorflow"):
            path = os.path.join(DATA, "references", f"{model}.{framework}.json")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    compare(model, framework, json.load(file)["inputs"], expected[model])


def compare(model, framework, answers, expected):
    check(answers.keys() == expected.keys(), f"{model}: {framework} answered to {list(answers)}")
    worst = 0
    for text, rows in expected.items():
        for row, answer in zip(rows, answers[text], strict=True):
            check((row["ids"], row["sentiment"]) == (answer["ids"], answer["sentiment"]),
                  f"{model}, {framework}, {text}: {answer} is not {row}")
            worst = max(worst, abs(row["score"] - answer["score"]))
    check(worst <= TOLERANCE, f"{model}: {framework} is {worst} from NumPy")
    print(f"{model}: {framework} in Python is at most {worst:.1e} from NumPy", flush=True)


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
    programs.need_models(PUBLISHED)
    if sys.argv[1:] == ["--models"]:
        test_models()
        return
    with Service() as service:
        test_bad_input(service)
        test_batches(service)


if __name__ == "__main__":
    try:
        main()
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    except Failure as failure:
        print(failure)
        sys.exit(1)
