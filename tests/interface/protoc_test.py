#!/usr/bin/env python3
"""Interface files that are wrong are refused with their place; good ones give what they should.

    protoc_test.py PROTOC PLUGIN PROTO_DIR WORDS_PROTO
"""
import os
import py_compile
import subprocess
import sys
import tempfile

HEAD = 'syntax = "proto3";\npackage app;\nimport "pocket/tensor.proto";\nmessage M {}\n'

# text after HEAD (which has 4 lines), what must be told
WRONG = [
    ("service S { rpc A(M) returns (N); }\n", ["app.proto:5:", '"N" is not defined']),
    ("service S {\n  rpc A(stream M) returns (M);\n}\n", ["app.proto:6:3: method 'A' takes a stream"]),
    ("service S {}\n", ["app.proto:5:1: service 'S' has no methods"]),
    ("", ["app.proto: there is no service in it"]),
    ("service S { rpc handler(M) returns (M); }\n", ["app.proto:5:13: a method cannot be called 'handler'"]),
    ("message L {\n  repeated pocket.proto.Attached t = 1;\n}\nservice S { rpc A(L) returns (M); }\n",
     ["app.proto:6:3: field 't' of 'L' is a tensor beside the message: it is neither repeated"]),
    ("message L {\n" + "".join(f"  pocket.proto.Attached t{i} = {i};\n" for i in range(1, 10)) + "}\n"
     "service S { rpc A(M) returns (L); }\n", ["app.proto:5:1: 'L' has 9 tensors beside it; the most is 8"]),
    ("service S { rpc A(M) returns (M) }\n", ["app.proto:5:"]),
]


def main():
    protoc, plugin, include, words = sys.argv[1:]
    failures = 0

    def run(folder, name, text, options="client,handler,python"):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return subprocess.run([protoc, f"--plugin=protoc-gen-pocket={plugin}", f"-I{folder}", f"-I{include}",
                               f"--pocket_out={options}:{folder}", path], capture_output=True, text=True,
                              check=False)

    def digests(folder, name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return [line for line in file if "kDigest[16] =" in line]

    with tempfile.TemporaryDirectory(prefix="pocket-protoc-") as folder:
        for text, wanted in WRONG:
            result = run(folder, "app.proto", HEAD + text)
            if result.returncode == 0 or not all(word in result.stderr for word in wanted):
                failures += 1
                print(f"wanted {wanted}, told: {result.stderr.strip() or 'nothing'}")
        if "unknown parameter 'java'" not in run(folder, "app.proto", HEAD, "java").stderr:
            failures += 1
            print("an unknown parameter was not refused")
        with open(words, encoding="utf-8") as file:
            good = file.read()
        result = run(folder, "words.proto", good)
        if result.returncode != 0:
            failures += 1
            print("words.proto: " + result.stderr)
        else:
            before = digests(folder, "words.client.h")
            if len(before) != 2 or before[0] == before[1] or digests(folder, "words.handler.h")[0].strip() != \
                    before[0].strip():
                failures += 1
                print(f"digests of client and handler: {before}, {digests(folder, 'words.handler.h')}")
            py_compile.compile(os.path.join(folder, "words_pocket.py"), doraise=True)
            # A comment changes nothing, a field does.
            run(folder, "words.proto", "// a comment\n" + good)
            if digests(folder, "words.client.h") != before:
                failures += 1
                print("a comment changed the interface")
            run(folder, "words.proto", good.replace("string text = 1;", "string text = 1; bool loud = 9;", 1))
            if digests(folder, "words.client.h")[0] == before[0]:
                failures += 1
                print("a new field did not change the interface")
    print(f"protoc-gen-pocket: {len(WRONG) + 5} cases, {failures} wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
