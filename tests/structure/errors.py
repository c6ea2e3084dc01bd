#!/usr/bin/env python3
"""Every status of include/pocket/status.h has one complete row in docs/errors.md, and no other row.

    errors.py ROOT
"""
import os
import re
import sys


def main():
    root = sys.argv[1]
    with open(os.path.join(root, "include/pocket/status.h"), encoding="utf-8") as file:
        header = file.read()
    enum = re.search(r"typedef enum pocket_status \{(.*?)\}", header, re.S).group(1)
    codes = re.findall(r"\b(POCKET_[A-Z_]+)\s*=", enum)
    retryable = re.search(r"may succeed later \((.*?)\)", header).group(1).split(", ")
    rows = {}
    with open(os.path.join(root, "docs/errors.md"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("| `POCKET_"):
                cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
                rows.setdefault(cells[0].strip("`"), []).append(cells)
    wrong = []
    for code in codes:
        found = rows.pop(code, [])
        if len(found) != 1 or len(found[0]) != 5 or not all(found[0]):
            wrong.append(f"{code} needs exactly one row of five filled cells, has {found}")
        elif code != "POCKET_OK":
            expected = "yes" if code.removeprefix("POCKET_") in retryable else "no"
            if found[0][2] != expected:
                wrong.append(f"{code}: the page says retry '{found[0][2]}', status.h '{expected}'")
    wrong += [f"{code} is no status" for code in rows]
    if len(codes) < 10:
        wrong.append("status.h was not understood")
    print("\n".join(wrong) or f"docs/errors.md: {len(codes)} statuses")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
