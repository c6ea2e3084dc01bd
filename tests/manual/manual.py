#!/usr/bin/env python3
"""manual.py POCKET: walks `pocket --help` and that of every command below, and checks that the manual
page of each has every option and subcommand, that `man` finds nothing wrong with it, and that each shell
that is installed here completes them."""
import os
import re
import shutil
import subprocess
import sys
import tempfile


def output(*command, check=True, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if check and done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def section(help_text, title):
    found = re.search(rf"^{title}:\n((?:  .*\n|\n(?=  ))*)", help_text, flags=re.M)
    return found[1] if found else ""


def walk(pocket, words=()):
    """{words of a command: (its flags, its subcommands)}, from --help alone."""
    text = output(pocket, *words, "--help") + "\n"
    flags = set()
    for line in section(text, "Options").splitlines():
        if line.startswith("  -"):
            flags.update(re.match(r"  (\S+)", line)[1].split(","))
    children = re.findall(r"^  ([a-z][\w-]*) ", section(text, "Subcommands"), flags=re.M)
    commands = {words: (flags, set(children))}
    for child in children:
        commands.update(walk(pocket, (*words, child)))
    return commands


def name_of(words):
    return " ".join(("pocket", *words))


def check_pages(pocket, commands, folder, problems):
    output(pocket, "man", "--directory", folder)
    pages = {name.removesuffix(".1") for name in os.listdir(folder)}
    wanted = {name_of(words).replace(" ", "-") for words in commands}
    if pages != wanted:
        problems.append(f"pages: {sorted(pages ^ wanted)} are too many or missing")
    for words, (flags, children) in commands.items():
        path = os.path.join(folder, name_of(words).replace(" ", "-") + ".1")
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("\\-", "-")
        if text != output(pocket, "man", *words).replace("\\-", "-"):
            problems.append(f"{name_of(words)}: `pocket man` and the written page differ")
        headings = " ".join(re.findall(r"^\\fB(.*?)\\fR", text, flags=re.M))
        listed = set(re.split(r"[ ,]+", headings))
        problems.extend(f"{name_of(words)}: the page lacks {flag}" for flag in sorted(flags - listed))
        for child in children:
            if f"\\fB{name_of((*words, child)).replace(' ', '-')}\\fR(1)" not in text:
                problems.append(f"{name_of(words)}: the page lacks {child}")
        if shutil.which("groff"):
            told = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", path], capture_output=True,
                                  text=True, check=False).stderr
            if told:
                problems.append(f"{name_of(words)}: groff says: {told}")


def check_bash(script, commands, problems):
    for words, (flags, children) in commands.items():
        typed = " ".join(f"'{word}'" for word in ("pocket", *words, ""))
        found = set(output("bash", "-c", f"source '{script}'; COMP_WORDS=({typed}); "
                           f"COMP_CWORD={len(words) + 1}; _pocket; printf '%s\\n' \"${{COMPREPLY[@]}}\"").split())
        if found != flags | children:
            problems.append(f"{name_of(words)}: bash completes {sorted(found ^ (flags | children))} wrongly")


def check_fish(script, commands, problems):
    for words, (flags, children) in commands.items():
        for prefix, wanted in (("", children), ("-", flags)):
            told = output("fish", "--no-config", "-c",
                          f"source '{script}'; complete -C '{name_of(words)} {prefix}'")
            found = {line.split("\t")[0] for line in told.splitlines()}
            if not wanted <= found:
                problems.append(f"{name_of(words)}: fish lacks {sorted(wanted - found)}")


def check_zsh(script, commands, problems):
    """zsh's own completion needs a terminal; the function is run with _describe replaced."""
    output("zsh", "-n", script)
    for words, (flags, children) in commands.items():
        typed = " ".join(f"'{word}'" for word in ("pocket", *words, ""))
        program = ("compdef() { }; _files() { }; _describe() { print -l -- ${(P)2%%:*}; }; "
                   f"source '{script}'; words=({typed}); CURRENT={len(words) + 2}; _pocket")
        found = set(output("zsh", "-fc", program).split())
        if found != flags | children:
            problems.append(f"{name_of(words)}: zsh completes {sorted(found ^ (flags | children))} wrongly")


def main(pocket):
    commands = walk(pocket)
    problems = []
    shells = []
    with tempfile.TemporaryDirectory(prefix="pocket-manual-") as folder:
        check_pages(pocket, commands, os.path.join(folder, "man"), problems)
        for shell, check in (("bash", check_bash), ("fish", check_fish), ("zsh", check_zsh)):
            script = os.path.join(folder, shell)
            with open(script, "w", encoding="utf-8") as out:
                out.write(output(pocket, "completion", shell))
            if shutil.which(shell):
                shells.append(shell)
                check(script, commands, problems)
    for problem in problems:
        print(problem)
    options = sum(len(flags) for flags, _ in commands.values())
    print(f"manual: {len(commands)} commands, {options} flags, shells {', '.join(shells)}: "
          f"{len(problems)} problems")
    return 1 if problems or len(commands) < 10 or options < 30 else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
