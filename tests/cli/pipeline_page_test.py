#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What pipelines/README.md tells of the pipeline file: each of its examples is good, and no key that the schema knows is missing.

Usage: pipeline_page_test.py DESCPIPE PAGE
"""
import json
import os
import re
import subprocess
import sys
import tempfile

SECTIONS = ("pipeline", "runtime", "backend", "stage", "retries", "checkpoint")


def fail(*words):
    sys.exit("\n".join(str(word) for word in words))


def keys_of(schema, name):
    """Those of a section; some are behind a choice between two forms."""
    section = schema["$defs"][name]
    return [key for form in [section] + section.get("oneOf", []) for key in form.get("properties", {})]


def check_example(descpipe, folder, number, text):
    path = os.path.join(folder, f"example-{number}.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    result = subprocess.run([descpipe, "check", "--runtime=host", path], cwd=folder, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = result.stdout.decode()
    if result.returncode != 0 or "warning:" in said:
        fail(f"example {number} is not good: exit status {result.returncode}", said, text)


def main():
    descpipe, page = os.path.abspath(sys.argv[1]), sys.argv[2]
    with open(page, encoding="utf-8") as file:
        text = file.read()
    examples = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    if len(examples) < 5:
        fail(f"{page} has {len(examples)} examples")
    with tempfile.TemporaryDirectory(prefix="descpipe-page-") as folder:
        os.environ.update(HOME=folder, XDG_CONFIG_HOME=folder + "/config")
        with open(os.path.join(folder, "stars.csv"), "w", encoding="utf-8") as file:
            file.write("1,2,3\n")
        for number, example in enumerate(examples, 1):
            check_example(descpipe, folder, number, example)
    schema = json.loads(subprocess.run([descpipe, "schema"], stdout=subprocess.PIPE, check=True).stdout)
    told = set(re.findall(r"`([^`\n]+)`", text)) | set(re.findall(r"([a-z][a-z-]*):(?:\s|$)", "\n".join(examples)))
    missing = [f"{name}.{key}" for name in SECTIONS for key in keys_of(schema, name) if key not in told]
    if missing:
        fail(f"{page} does not tell of:", *missing)


main()
