# SPDX-License-Identifier: BSD-3-Clause
"""Configuration in the in-container module: JSON, YAML, and the small subset read without PyYAML."""
import os
import random
import shutil
import sys
import tempfile
import unittest

import descpipe

try:
    import yaml
except ImportError:
    yaml = None

SUFFIX = "; this image has no PyYAML, and without it only 'key: value' lines and lists of single values can be read"


def read_subset(text):
    return descpipe._SubsetReader(text, "c.yaml").read()


class Subset(unittest.TestCase):
    ACCEPTED = [
        ("", None),
        ("# nothing\n\n", None),
        ("nbin: 4\nzmin: 0.2\nzmax: -1.5e+3\n", {"nbin": 4, "zmin": 0.2, "zmax": -1500.0}),
        ("---\nname: two words # a note\nurl: a:b/c#d\n", {"name": "two words", "url": "a:b/c#d"}),
        ("a: true\nb: False\nc: null\nd: ~\ne:\n", {"a": True, "b": False, "c": None, "d": None, "e": None}),
        ("edges: [8.0, 9, 'x, y', \"z]\", w]  # five\n", {"edges": [8.0, 9, "x, y", "z]", "w"]}),
        ("edges: []\nmore: [1,]\n", {"edges": [], "more": [1]}),
        ("edges:\n  - 8.0\n  # between\n  - word\nnext: 1\n", {"edges": [8.0, "word"], "next": 1}),
        ("edges: # a note\n- 1\n- 2\n", {"edges": [1, 2]}),
        ("- a\n- 'it''s'\n- \"tab\\tquote\\\"\"\n", ["a", "it's", "tab\tquote\""]),
        ("quoted: 'yes'\nnumber: '010'\n", {"quoted": "yes", "number": "010"}),
        ("windows: lines\r\nare: fine\r\n", {"windows": "lines", "are": "fine"}),
        ("gr\u00f6\u00dfe: x\n".replace("gr\u00f6\u00dfe", "key"), {"key": "x"}),
        ("key: gr\u00f6\u00dfe\n", {"key": "gr\u00f6\u00dfe"}),
    ]
    REFUSED = [
        ("a:\n  b: 1\n", 2, "an indented line that belongs to no list"),
        ("just words\n", 1, "not a 'key: value' line"),
        ("a:1\n", 1, "not a 'key: value' line"),
        ("a: 1\na: 2\n", 2, "the key 'a' is there twice"),
        ("null: 1\n", 1, "the key 'null' is not text"),
        ("a: yes\n", 1, "'yes' can be read in two ways (put it in quotes if it is text)"),
        ("a: 010\n", 1, "'010' can be read in two ways (put it in quotes if it is text)"),
        ("a: 1e5\n", 1, "'1e5' can be read in two ways (put it in quotes if it is text)"),
        ("a: 2026-11-21\n", 1, "'2026-11-21' can be read in two ways (put it in quotes if it is text)"),
        ("a: 12:30\n", 1, "'12:30' can be read in two ways (put it in quotes if it is text)"),
        ("a: .inf\n", 1, "'.inf' can be read in two ways (put it in quotes if it is text)"),
        ("a: &x 1\n", 1, "'&x 1' begins with a sign that has a meaning in YAML"),
        ("a: |\n  text\n", 1, "'|' begins with a sign that has a meaning in YAML"),
        ("a: {b: 1}\n", 1, "'{b: 1}' begins with a sign that has a meaning in YAML"),
        ("a: b: c\n", 1, "'b: c' holds a mapping"),
        ("a: 'open\n", 1, "a quote that does not end on its line"),
        ("a: \"open\n", 1, "a quote that does not end on its line"),
        ("a: \"\\x41\"\n", 1, "an escape '\\x'"),
        ("a: 'b' c\n", 1, "something follows the value: 'c'"),
        ("a: [1, 2\n", 1, "a list in brackets that is not complete on one line"),
        ("a: [1, [2]]\n", 1, "a list in brackets that is not complete on one line, or holds more than single values"),
        ("a: [1] 2\n", 1, "something follows the list: '2'"),
        ("a: [x{y]\n", 1, "'x{y' in a list in brackets"),
        ("- 1\n- - 2\n", 2, "a list item that is not a single value"),
        ("- a: 1\n", 1, "a list item that is not a single value"),
        ("- 1\n  - 2\n", 2, "a list inside a list, or a change of indentation"),
        ("- 1\na: 2\n", 2, "a list ends and something else begins"),
        ("- 1\n  more\n", 2, "an indented line that is not a list item"),
        ("-1\n", 1, "a '-' without a space after it"),
        ("a: 1\nb: \x07\n", 2, "the character '\\x07'"),
        ("a: 1\nb:\t2\n", 2, "the character '\\t'"),
        ("a: 1\n---\nb: 2\n", 2, "not a 'key: value' line"),
    ]

    def test_reads_flat_mappings_and_lists(self):
        for text, value in self.ACCEPTED:
            self.assertEqual(value, read_subset(text), text)

    def test_refuses_the_rest_with_its_line(self):
        for text, line, why in self.REFUSED:
            with self.assertRaises(descpipe.StageError) as caught:
                read_subset(text)
            self.assertEqual("config file 'c.yaml', line {}: {}{}".format(line, why, SUFFIX), str(caught.exception))

    @unittest.skipIf(yaml is None, "PyYAML is not here to compare with")
    def test_agrees_with_pyyaml_on_what_it_reads(self):
        for text, value in self.ACCEPTED:
            self.assertEqual(value, yaml.safe_load(text), text)

    @unittest.skipIf(yaml is None, "PyYAML is not here to compare with")
    def test_agrees_with_pyyaml_on_random_text(self):
        pieces = ["a", "b", "key", ":", ": ", " ", "  ", "\n", "\n", "- ", "-", "[", "]", ", ", ",", "#", " #", "'", '"', "\\n", "1",
                  "0", ".", "1.5", "-2", "e", "+", "true", "null", "~", "yes", "{", "}", "&", "*", "!", "|", ">", "%", "@", "`", "?",
                  "\t", "---", "...", "=", "<<", "_", ".inf", "0x1", "0b1", "12:30", "2026-01-01", "key: ", "other: ", "\nlist:\n- "]
        choice = random.Random(20261121)
        accepted = 0
        for _ in range(30000):
            text = "".join(choice.choice(pieces) for _ in range(choice.randint(1, 9)))
            try:
                value = read_subset(text)
            except descpipe.StageError:
                continue
            accepted += 1
            self.assertEqual(repr(yaml.safe_load(text)), repr(value), repr(text))
        self.assertGreater(accepted, 1000)


class GetConfig(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="descpipe-python.")
        self.addCleanup(shutil.rmtree, self.folder)

    def stage(self, name, content):
        class Example(descpipe.Stage):
            config = {"config": name}

        with open(os.path.join(self.folder, name), "wb") as out:
            out.write(content)
        stage = Example()
        stage.config_dir = self.folder
        return stage

    def hide_yaml(self):
        saved = sys.modules.get("yaml")
        sys.modules["yaml"] = None  # makes `import yaml` fail

        def restore():
            if saved is None:
                del sys.modules["yaml"]
            else:
                sys.modules["yaml"] = saved

        self.addCleanup(restore)

    def assert_says(self, text, stage):
        with self.assertRaises(descpipe.StageError) as caught:
            stage.get_config("config")
        self.assertEqual(text.format(self.folder), str(caught.exception))

    def test_reads_json_by_name_and_by_first_letter(self):
        self.hide_yaml()
        self.assertEqual({"a": [1, {"b": 2}]}, self.stage("c.json", b'{"a": [1, {"b": 2}]}').get_config("config"))
        self.assertEqual({"a": [1, {"b": 2}]}, self.stage("c.yaml", b' {"a": [1, {"b": 2}]}').get_config("config"))

    def test_reads_a_subset_without_pyyaml(self):
        self.hide_yaml()
        self.assertEqual({"nbin": 4}, self.stage("c.yaml", b"\xef\xbb\xbfnbin: 4\n").get_config("config"))
        self.assert_says("config file '{0}/c.yaml', line 2: an indented line that belongs to no list" + SUFFIX,
                         self.stage("c.yaml", b"a:\n  b: 1\n"))

    @unittest.skipIf(yaml is None, "PyYAML is not here")
    def test_reads_all_of_yaml_with_pyyaml(self):
        self.assertEqual({"a": {"b": 1}}, self.stage("c.yaml", b"a:\n  b: 1\n").get_config("config"))
        self.assertEqual({"a": "b"}, self.stage("c.yaml", b"{a: b}\n").get_config("config"))
        with self.assertRaises(descpipe.StageError) as caught:
            self.stage("c.yaml", b"a: [1\n").get_config("config")
        self.assertIn("config file '{}/c.yaml' is not YAML: ".format(self.folder), str(caught.exception))

    def test_refuses_what_is_no_configuration(self):
        self.hide_yaml()
        with self.assertRaises(descpipe.StageError) as caught:
            self.stage("c.json", b"{").get_config("config")
        self.assertIn("config file '{}/c.json' is not JSON: ".format(self.folder), str(caught.exception))
        with self.assertRaises(descpipe.StageError) as caught:
            self.stage("c.yaml", b"a: \xff\n").get_config("config")
        self.assertIn("config file '{}/c.yaml' is not UTF-8: ".format(self.folder), str(caught.exception))
        self.assert_says("config file '{0}/c.yaml' is larger than 16777216 bytes",
                         self.stage("c.yaml", b"#" * (16 * 1024 * 1024 + 1)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
