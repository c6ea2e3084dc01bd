"""How far the result of an app is from what a reference framework answered: one judge for each kind of app."""
import os

from programs import DATA, DEPS, check

MOST_DETECTIONS = 100  # that a detector tells


class Labels:
    """The scores of all classes; the best one must be the same.

    The engines' own part is some 1e-6. The reference prepares pictures in float64, so that of 150,000 values some
    ten are rounded the other way, of which seeded weights make more."""
    text = "5e-4"
    tolerances = [5e-4]

    def inputs(self, reference, _):
        for name in sorted(reference["inputs"]):
            yield name, ["--top", "1000", "--input", os.path.join(DEPS, "pictures", name)]

    def differences(self, result, reference, name):
        wanted = reference["inputs"][name]
        check(len(result) == len(wanted), f"{len(result)} classes, not {len(wanted)}")
        first, second = sorted(range(len(wanted)), key=lambda index: -wanted[index])[:2]
        check(result[0]["index"] == first or wanted[first] - wanted[second] < 2 * self.tolerances[0],
              f"class {result[0]['index']} is the best one, not {first}")
        return [max(abs(each["score"] - wanted[each["index"]]) for each in result)]


class Detections:
    """Each thing that one side has found, and is clearly above what it leaves out, must be on the other."""
    text = "5e-5, 0.05 px"
    tolerances = [5e-5, 0.05]  # of score, and pixels: engines add in other orders

    def inputs(self, reference, _):
        for name in sorted(reference["inputs"]):
            yield name, ["--least-score", str(reference["least_score"]), "--input",
                         os.path.join(DEPS, "pictures", name)]

    def differences(self, result, reference, name):
        wanted, least, most = reference["inputs"][name], reference["least_score"], [0.0, 0.0]
        check(result, "nothing was found, which tests nothing")
        for these, those, side in ((wanted, result, "the app"), (result, wanted, "the reference")):
            floor = max([least] + [each[-1]["score"] for each in (these, those)
                                   if len(each) == MOST_DETECTIONS])
            for each in these:
                if each["score"] <= floor + self.tolerances[0]:
                    continue
                nearest = min((self.apart(each, other) for other in those), default=None,
                              key=lambda apart: max(apart[0] / self.tolerances[0],
                                                    apart[1] / self.tolerances[1]))
                check(nearest is not None and nearest[0] <= self.tolerances[0]
                      and nearest[1] <= self.tolerances[1], f"{side} has not found {each}")
                most = [max(pair) for pair in zip(most, nearest)]
        return most

    @staticmethod
    def apart(one, other):
        if one["class"] != other["class"]:
            return [float("inf"), float("inf")]
        return [abs(one["score"] - other["score"]),
                max(abs(a - b) for a, b in zip(one["box"], other["box"]))]


class Lines:
    """The score and the sentiment of each line. All texts go in one file, so that a twin loads its model once."""
    text = "2e-5"  # what 6 or 12 layers make of another order of additions
    tolerances = [2e-5]

    def inputs(self, reference, folder):
        self.rows, contents = {}, b""
        for name in reference["inputs"]:
            with open(os.path.join(DATA, "texts", name), "rb") as file:
                text = file.read().removesuffix(b"\n") + b"\n"
            self.rows[name] = contents.count(b"\n")
            contents += text
        path = os.path.join(folder, "texts.txt")
        with open(path, "wb") as file:
            file.write(contents)
        # Two lines a call, so that the one long line does not pad all others.
        yield "texts", ["--batch", "2", "--input", path]

    def differences(self, result, reference, _):
        wanted = [{**row, "line": row["line"] + self.rows[name], "text": name}
                  for name, rows in reference["inputs"].items() for row in rows]
        check([row["line"] for row in result] == [row["line"] for row in wanted],
              "other lines than the reference's")
        worst = 0.0
        for row, other in zip(result, wanted):
            where = f"{other['text']}, line {other['line']} of all"
            check(row["tokens"] == len(other["ids"]), f"{where}: {row['tokens']} tokens")
            check(row["sentiment"] == other["sentiment"]
                  or abs(other["score"] - 0.5) < self.tolerances[0], f"{where}: {row['sentiment']}")
            worst = max(worst, abs(row["score"] - other["score"]))
        return [worst]


def judge_of(app):
    if app.startswith("ssd"):
        return Detections()
    return Labels() if app in ("mobilenetv2", "resnet50") else Lines()
