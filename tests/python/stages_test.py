# SPDX-License-Identifier: BSD-3-Clause
"""The stage folders of the examples have the anatomy that descpipe expects of a stage."""
import ast
import glob
import os
import re
import unittest

import descpipe

PIPELINES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "pipelines")
FOLDERS = sorted(glob.glob(os.path.join(PIPELINES, "*", "images", "*")))


def read(*parts):
    with open(os.path.join(*parts)) as source:
        return source.read()


def stage_class(folder):
    tree = ast.parse(read(folder, "run.py"))
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Stage"]
    return tree, found


class Anatomy(unittest.TestCase):
    def test_there_are_stages_to_look_at(self):
        names = sorted(os.path.basename(folder) for folder in FOLDERS)
        self.assertEqual(["counts", "pz_stack", "tomography", "tomography", "treecorr", "two_point"], names)

    def test_run_py_can_be_executed(self):
        for folder in FOLDERS:
            path = os.path.join(folder, "run.py")
            self.assertTrue(os.access(path, os.X_OK), path)
            self.assertEqual("#!/usr/bin/env python3", read(path).split("\n")[0], path)

    def test_metadata_is_literal(self):
        for folder in FOLDERS:
            _, classes = stage_class(folder)
            self.assertEqual(1, len(classes), folder)
            values = {}
            for node in classes[0].body:
                if isinstance(node, ast.Assign):
                    values[node.targets[0].id] = ast.literal_eval(node.value)
            self.assertEqual({"name", "config", "inputs", "outputs"}, set(values), folder)
            self.assertIsInstance(values["name"], str)
            for key in ("config", "inputs", "outputs"):
                for tag, value in values[key].items():
                    self.assertIsInstance(tag, str)
                    self.assertIsInstance(value, str)

    def test_only_the_module_is_imported_outside_of_functions(self):
        # What the work needs is in the image and nowhere else.
        for folder in FOLDERS:
            tree, classes = stage_class(folder)
            for node in tree.body + classes[0].body:
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    self.assertEqual(["descpipe"], [alias.name for alias in node.names], folder)

    def test_every_tag_that_run_asks_for_is_declared(self):
        asked = {"get_input_path": "inputs", "get_output_path": "outputs", "get_config_path": "config", "get_config": "config"}
        for folder in FOLDERS:
            namespace = {"__name__": "stage"}
            exec(compile(read(folder, "run.py"), folder, "exec"), namespace)
            stage = namespace["Stage"]
            self.assertTrue(issubclass(stage, descpipe.Stage), folder)
            used = {"inputs": set(), "outputs": set(), "config": set()}
            for call, tag in re.findall(r'self\.(get_\w+)\("([^"]+)"\)', read(folder, "run.py")):
                used[asked[call]].add(tag)
            for kind, tags in used.items():
                self.assertEqual(set(getattr(stage, kind)), tags, (folder, kind))

    def test_dockerfile_stands_on_the_base_image(self):
        for folder in FOLDERS:
            lines = [line for line in read(folder, "Dockerfile").split("\n") if line and not line.startswith("#")]
            self.assertEqual(["ARG user", "ARG base=1.0", "FROM ${user}/desc-pipe-base:${base}"], lines[:3], folder)


if __name__ == "__main__":
    unittest.main(verbosity=2)
