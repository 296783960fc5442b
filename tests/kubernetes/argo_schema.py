# SPDX-License-Identifier: BSD-3-Clause
"""Argo's JSON Schema, of the file that ARGO_JSON_SCHEMA names, for tests of what is written for Argo."""
import json
import os
import unittest


def validator(kind="Workflow"):
    """A function that raises for what is no such thing. Without the schema the test is skipped by name."""
    path = os.environ.get("ARGO_JSON_SCHEMA")
    if not path:
        raise unittest.SkipTest("ARGO_JSON_SCHEMA names no file")
    try:
        import jsonschema
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        raise unittest.SkipTest("there is no python3-jsonschema on this machine") from error
    with open(path, encoding="utf-8") as file:
        definitions = json.load(file)["definitions"]
    schema = {"$ref": "#/definitions/io.argoproj.workflow.v1alpha1." + kind, "definitions": definitions}
    return lambda whole: jsonschema.validate(whole, schema)
