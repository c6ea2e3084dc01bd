#!/usr/bin/env python3
"""What sources and pages say of each other is true.

    docs.py [ROOT]        check a tree (default: this repository)
    docs.py --self-test   check that broken references are found

 - every docs/....md that a source, script or page names exists;
 - every relative link of a page leads to a file, and to a heading of it where it names one;
 - docs/format-control.md has every message and field of src/wire/control.fbs;
 - docs/configuration.md has every key that src/daemon/config*.cc reads;
"""
import glob
import os
import re
import subprocess
import sys
import tempfile

PAGE = re.compile(r"\bdocs/[\w./-]+\.md\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def files_of(root):
    """Every file of the repository, and those that are about to be added."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [name for name in listed.stdout.splitlines() if os.path.isfile(os.path.join(root, name))]
    names = [os.path.relpath(os.path.join(folder, name), root)
             for folder, _, names in os.walk(root) for name in names]
    return [name for name in names if not name.startswith((".", "build/", "models/"))]


def read(root, name):
    try:
        with open(os.path.join(root, name), encoding="utf-8") as file:
            return file.read()
    except (UnicodeDecodeError, FileNotFoundError):
        return ""


def anchors(text):
    """The names that headings can be linked by."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, flags=re.M)}


def check_named_pages(root, name, text, problems):
    for number, line in enumerate(text.splitlines(), 1):
        for page in PAGE.findall(line):
            if not os.path.exists(os.path.join(root, page)):
                problems.append(f"{name}:{number}: there is no {page}")


def check_links(root, name, text, problems):
    for number, line in enumerate(text.splitlines(), 1):
        for link in LINK.findall(line):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, heading = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if not os.path.exists(os.path.join(root, target)):
                problems.append(f"{name}:{number}: the link leads nowhere: {link}")
            elif heading and heading not in anchors(read(root, target)):
                problems.append(f"{name}:{number}: {target} has no heading #{heading}")


def check_control(root, problems):
    schema = re.sub(r"//.*", "", read(root, "src/wire/control.fbs"))
    page = read(root, "docs/format-control.md")
    words = set(re.findall(r"`(\w+)`", page))
    for table, body in re.findall(r"table (\w+) \{(.*?)\}", schema, flags=re.S):
        if table == "Message":
            continue
        for word in [table, *re.findall(r"(\w+):", body)]:
            if word not in words:
                problems.append(f"docs/format-control.md: says nothing of `{word}` ({table})")


def check_configuration(root, problems):
    page = read(root, "docs/configuration.md")
    words = set(re.findall(r"`(\w+)`|^## \[(\w+)\]", page, flags=re.M))
    words = {word for pair in words for word in pair}
    for name in sorted(glob.glob(os.path.join(root, "src/daemon/config*.cc"))):
        if name.endswith("_test.cc"):
            continue
        arrays = re.findall(r"array<std::string_view, \d+> k\w+ = \{(.*?)\};", read(root, name), flags=re.S)
        for key in re.findall(r'"(\w+)"', "".join(arrays)):
            if key not in words:
                problems.append(f"docs/configuration.md: says nothing of `{key}`")


def check_tree(root):
    problems = []
    names = files_of(root)
    for name in names:
        if name == "tests/structure/docs.py":
            continue
        text = read(root, name)
        check_named_pages(root, name, text, problems)
        if name.endswith(".md"):
            check_links(root, name, text, problems)
    check_control(root, problems)
    check_configuration(root, problems)
    return len(names), problems


SELF_TEST = {
    "README.md": "[a](docs/a.md) [b](docs/gone.md)\n[c](docs/a.md#one-two) [d](docs/a.md#three)\n"
                 "[e](https://example.org/x.md)\n",
    "docs/a.md": "# One two\n[home](../README.md)\n",
    "docs/configuration.md": "## [limits]\n| `sessions` | 1 |\n",
    "docs/format-control.md": "`Hello` `name`\n",
    "src/a.cc": "// see docs/a.md\n// and docs/lost.md\n",
    "src/daemon/config.cc": 'constexpr std::array<std::string_view, 2> kLimits = {"sessions",\n "runners"};\n',
    "src/wire/control.fbs": "table Hello { name: string; size: ulong; } // gone: x\ntable Bye { }\n",
}
WANTED = [
    "README.md:1: there is no docs/gone.md",
    "README.md:1: the link leads nowhere: docs/gone.md",
    "README.md:2: docs/a.md has no heading #three",
    "src/a.cc:2: there is no docs/lost.md",
    "docs/format-control.md: says nothing of `size` (Hello)",
    "docs/format-control.md: says nothing of `Bye` (Bye)",
    "docs/configuration.md: says nothing of `runners`",
]


def self_test():
    with tempfile.TemporaryDirectory(prefix="pocket-docs-") as root:
        for name, text in SELF_TEST.items():
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "w", encoding="utf-8") as out:
                out.write(text)
        _, problems = check_tree(root)
    missed = [wanted for wanted in WANTED if wanted not in problems]
    strange = [problem for problem in problems if problem not in WANTED]
    for text in missed:
        print("self-test: not found: " + text)
    for text in strange:
        print("self-test: wrong: " + text)
    print(f"docs, self-test: {len(WANTED)} problems, {len(missed)} missed, {len(strange)} wrong")
    return 1 if missed or strange else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else os.path.join(os.path.dirname(__file__), "../..")
    files, problems = check_tree(os.path.abspath(root))
    for problem in problems:
        print(problem)
    print(f"docs: {files} files, {len(problems)} problems")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
