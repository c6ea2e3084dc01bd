#!/usr/bin/env python3
"""The public headers only ever grow: every function, enumerator, macro, struct size and offset of
abi.txt must still be there, unchanged, and everything new must be written down there.

    abi.py INCLUDE_DIR CC [--update]   compare with abi.txt beside this file, or add what is new
    abi.py --self-test                 check that removals and changes are found

--update refuses to drop or change a line; do that by hand, and only before a first release.
"""
import os
import re
import subprocess
import sys
import tempfile

HEADERS = ("status.h", "dtype.h", "engine.h", "handler.h", "pocket.h")
LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "abi.txt")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def type_only(parameter):
    """"const char* name" -> "const char*": names of parameters may change."""
    parameter = " ".join(parameter.split())
    return re.sub(r"([*\s])\w+$", r"\1", parameter).strip() if " " in parameter else parameter


def functions(text):
    for result, name, parameters in re.findall(r"POCKET_API\s+([^;(]*?)(\w+)\s*\(([^)]*)\)\s*;", text):
        types = ", ".join(type_only(parameter) for parameter in parameters.split(","))
        yield name, f"{' '.join(result.split())} {name}({types})"


def structs(text):
    """(name, [field, ...]) of each struct that has a body."""
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\n\} (\w+);", text, flags=re.S):
        fields = []
        for member in body.split(";"):
            pointer = re.search(r"\(\*(\w+)\)\s*\(", member)
            plain = re.search(r"(\w+)\s*(\[\w+\])?\s*$", member)
            found = pointer or plain
            if found:
                fields.append(found[1])
        yield name, fields


def enumerators(text):
    for body in re.findall(r"typedef enum \w+ \{(.*?)\}", text, flags=re.S):
        yield from re.findall(r"\b(POCKET_\w+)\s*=", body)


def macros(text):
    """Constants; guards, attributes and the like have no value of their own."""
    return [name for name, value in re.findall(r"^#define (POCKET_\w+) (\S+)$", text, flags=re.M)
            if not value.startswith("__")]


def describe(include, cc):
    """The lines of abi.txt as the headers are now."""
    text = "".join(without_comments(open(os.path.join(include, "pocket", header), encoding="utf-8").read())
                   for header in HEADERS)
    lines = [f"function {declaration}" for _, declaration in functions(text)]
    prints = []
    for name in enumerators(text):
        prints.append(f'printf("value {name} = %lld\\n", (long long)({name}));')
    for name in macros(text):
        kind = "%s" if name.endswith("_SYMBOL") else "%llu"
        cast = "" if kind == "%s" else "(unsigned long long)"
        prints.append(f'printf("value {name} = {kind}\\n", {cast}({name}));')
    for name, fields in structs(text):
        prints.append(f'printf("struct {name}: %zu bytes\\n", sizeof({name}));')
        for field in fields:
            prints.append(f'printf("field {name}.{field}: at %zu, %zu bytes\\n", '
                          f"offsetof({name}, {field}), sizeof((({name}*)0)->{field}));")
    program = "\n".join([*(f'#include "pocket/{header}"' for header in HEADERS),
                         "#include <stdio.h>", "int main(void) {", *prints, "return 0; }\n"])
    with tempfile.TemporaryDirectory(prefix="pocket-abi-") as folder:
        source, binary = os.path.join(folder, "abi.c"), os.path.join(folder, "abi")
        with open(source, "w", encoding="utf-8") as out:
            out.write(program)
        subprocess.run([cc, "-std=c11", "-I", include, source, "-o", binary], check=True)
        lines += subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(lines)


def name_of(line):
    """What a line is about: two lines of one name are a change."""
    if line.startswith("function "):
        return "function " + re.search(r"(\w+)\(", line)[1]
    return re.split(r":| =", line)[0]


def may_grow(name, before, after, known):
    """A struct that says its own size may get fields at its end."""
    sizes = [int(re.search(r"(\d+) bytes$", line)[1]) for line in (before, after)]
    return f"field {name.split()[1]}.struct_size" in known and sizes[0] < sizes[1]


def compare(listed, now):
    """(problems, lines that are new)"""
    known = {name_of(line): line for line in listed}
    present = {name_of(line): line for line in now}
    problems, new = [], [line for line in now if name_of(line) not in known]
    for name, line in known.items():
        if name not in present:
            problems.append(f"removed: {line}")
        elif present[name] != line:
            if name.startswith("struct ") and may_grow(name, line, present[name], known):
                new.append(present[name])
            else:
                problems.append(f"changed: {line}\n     now: {present[name]}")
    return problems, new


def self_test(cc):
    header = ("#define POCKET_API\n#define POCKET_LIMIT 8\n"
              "typedef enum e {{\n  POCKET_A = {a}\n}} e;\n"
              "typedef struct pocket_s {{\n  int first;\n{extra}  void (*call)(int x);\n}} pocket_s;\n"
              "typedef struct pocket_g {{\n  int struct_size;\n{more}}} pocket_g;\n"
              "POCKET_API int pocket_f(const char* {name}, {second});\n")
    base = dict(a=1, extra="", more="", name="a", second="int b")
    cases = [({}, 0, 0), ({"name": "renamed"}, 0, 0), ({"a": 2}, 1, 0), ({"second": "long b"}, 1, 0),
             # a field in the middle: the size changes, the one behind it moves, one is new
             ({"extra": "  char more[64];\n"}, 2, 1),
             # a field at the end of a struct that says its size: two lines to write down
             ({"more": "  int later;\n"}, 0, 2)]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="pocket-abi-") as root:
        os.makedirs(os.path.join(root, "pocket"))
        for empty in HEADERS[1:]:
            open(os.path.join(root, "pocket", empty), "w", encoding="utf-8").close()

        def write(**changes):
            with open(os.path.join(root, "pocket", HEADERS[0]), "w", encoding="utf-8") as out:
                out.write("#include <stddef.h>\n" + header.format(**{**base, **changes}))
            return describe(root, cc)

        listed = write()
        if len(listed) != 8:
            wrong += 1
            print("self-test: read", listed)
        for changes, problems, new in cases:
            found = compare(listed, write(**changes))
            if (len(found[0]), len(found[1])) != (problems, new):
                wrong += 1
                print(f"self-test: {changes}: found {found}")
        if len(compare(listed + ["function int pocket_gone(int)"], listed)[0]) != 1:
            wrong += 1
            print("self-test: a removed function was not found")
    print(f"abi, self-test: {len(cases) + 2} cases, {wrong} wrong")
    return 1 if wrong else 0


def main(arguments):
    if arguments[:1] == ["--self-test"]:
        return self_test(arguments[1] if len(arguments) > 1 else "cc")
    include, cc = arguments[:2]
    now = describe(include, cc)
    with open(LIST, encoding="utf-8") as file:
        listed = [line for line in file.read().splitlines() if line and not line.startswith("#")]
    problems, new = compare(listed, now)
    for problem in problems:
        print(problem)
    if problems:
        print("programs that were built before would break: append instead (pocket/pocket.h)")
        return 1
    if new and "--update" in arguments:
        with open(LIST, encoding="utf-8") as file:
            head = [line for line in file.read().splitlines() if line.startswith("#")]
        with open(LIST, "w", encoding="utf-8") as out:
            out.write("\n".join(head + now) + "\n")
    elif new:
        print("new, and not in tests/structure/abi.txt (add them with abi.py --update):")
        print("\n".join(new))
        return 1
    print(f"abi: {len(now)} lines, nothing removed or changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
