#!/usr/bin/env python3
"""Fills a folder with test models and their cases.

    build.py --packages DIR --out DIR [--all-onnx-tests]
"""
import argparse
import os
import shutil

import dtypes
import ir
import published
import shapes


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--packages", required=True, help="folder with unpacked packages")
    parser.add_argument("--out", required=True)
    parser.add_argument("--all-onnx-tests", action="store_true",
                        help="every test of the onnx package, not a choice of them")
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    dtypes.build(options.out)
    shapes.build(options.out)
    published.build(options.out, options.packages, options.all_onnx_tests)
    ir.build(options.out, options.packages)
    print(f"test models: {len(os.listdir(os.path.join(options.out, 'repository')))}")


if __name__ == "__main__":
    main()
