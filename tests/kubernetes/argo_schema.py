# SPDX-License-Identifier: BSD-3-Clause
"""Argo's JSON Schema, of the file that ARGO_JSON_SCHEMA names, for tests of what is written for Argo."""
import importlib
import json
import os
import sys
import unittest


def find_jsonschema():
    """Debian's package too, when this is another Python than Debian's."""
    for folder in (None, "/usr/lib/python3/dist-packages"):
        if folder:
            sys.path.append(folder)
        try:
            return importlib.import_module("jsonschema")
        except ImportError:
            pass
    return None


def validator(kind="Workflow"):
    """A function that raises for what is no such thing. Without the schema the test is skipped by name."""
    path = os.environ.get("ARGO_JSON_SCHEMA")
    if not path:
        raise unittest.SkipTest("ARGO_JSON_SCHEMA names no file")
    jsonschema = find_jsonschema()
    if jsonschema is None:
        if os.environ.get("CI"):
            raise AssertionError("there is no python3-jsonschema on this machine (packaging/packages.sh ci)")
        raise unittest.SkipTest("there is no python3-jsonschema on this machine")
    with open(path, encoding="utf-8") as file:
        definitions = json.load(file)["definitions"]
    schema = {"$ref": "#/definitions/io.argoproj.workflow.v1alpha1." + kind, "definitions": definitions}
    return lambda whole: jsonschema.validate(whole, schema)
