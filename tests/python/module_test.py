# SPDX-License-Identifier: BSD-3-Clause
"""The in-container module: paths, members, rank and size, main()."""
import ast
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import descpipe


class Example(descpipe.Stage):
    name = "example"
    config = {"config": "config.yaml"}
    inputs = {"photoz-catalog": "fits", "bands": "txt", "plots": "/"}
    outputs = {"tomographic-catalog": "fits", "figures": "/"}


class StageCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="descpipe-python.")
        self.addCleanup(shutil.rmtree, self.folder)
        self.saved = dict(os.environ)
        self.addCleanup(self.restore)
        for name in list(os.environ):
            if name.startswith("DESC_"):
                del os.environ[name]
        for name in ("input", "output", "config"):
            os.mkdir(os.path.join(self.folder, name))
            os.environ["DESC_" + name.upper()] = os.path.join(self.folder, name)

    def restore(self):
        os.environ.clear()
        os.environ.update(self.saved)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, text, *parts):
        os.makedirs(os.path.dirname(self.path(*parts)), exist_ok=True)
        with open(self.path(*parts), "w") as out:
            out.write(text)

    def assert_says(self, text, function, *arguments):
        with self.assertRaises(descpipe.StageError) as caught:
            function(*arguments)
        self.assertEqual(text.format(self.folder), str(caught.exception))


class Paths(StageCase):
    def test_finds_the_files_of_the_environments_folders(self):
        self.write("x", "input", "photoz-catalog.fits")
        self.write("x", "config", "config.yaml")
        stage = Example()
        self.assertEqual(self.path("input", "photoz-catalog.fits"), stage.get_input_path("photoz-catalog"))
        self.assertEqual(self.path("config", "config.yaml"), stage.get_config_path("config"))
        self.assertEqual(self.path("output", "tomographic-catalog.fits"), stage.get_output_path("tomographic-catalog"))

    def test_takes_the_folders_under_opt_when_the_environment_says_nothing(self):
        for name in ("DESC_INPUT", "DESC_CONFIG"):
            del os.environ[name]
        os.environ["DESC_OUTPUT"] = ""
        stage = Example()
        self.assertEqual(("/opt/input", "/opt/output", "/opt/config"), (stage.input_dir, stage.output_dir, stage.config_dir))

    def test_makes_the_folder_of_a_folder_output(self):
        path = Example().get_output_path("figures")
        self.assertEqual(self.path("output", "figures"), path)
        self.assertTrue(os.path.isdir(path))
        self.assertEqual(path, Example().get_output_path("figures"))

    def test_gives_the_folder_of_a_folder_input(self):
        os.mkdir(self.path("input", "plots"))
        self.assertEqual(self.path("input", "plots"), Example().get_input_path("plots"))

    def test_gives_the_folder_of_all_members(self):
        for member in ("r", "g"):
            self.write(member, "input", "bands", member + ".txt")
        self.write("", "input", "bands", "notes.md")
        stage = Example()
        self.assertEqual(self.path("input", "bands"), stage.get_input_path("bands"))
        self.assertEqual(
            [("g", self.path("input", "bands", "g.txt")), ("r", self.path("input", "bands", "r.txt"))],
            stage.get_input_members("bands"),
        )

    def test_gives_the_folders_of_all_members_of_a_folder_tag(self):
        for member in ("r", "g"):
            os.makedirs(self.path("input", "plots", member))
        self.assertEqual(["g", "r"], [name for name, _ in Example().get_input_members("plots")])

    def test_refuses_members_of_a_single_file(self):
        self.write("", "input", "bands.txt")
        self.assert_says("input 'bands' is one file, '{0}/input/bands.txt', not the files of several members",
                         Example().get_input_members, "bands")

    def test_names_the_known_tags(self):
        stage = Example()
        self.assert_says("no input 'shear' in this stage; known: 'bands', 'photoz-catalog', 'plots'", stage.get_input_path, "shear")
        self.assert_says("no output 'shear' in this stage; known: 'figures', 'tomographic-catalog'", stage.get_output_path, "shear")
        self.assert_says("no config file 'shear' in this stage; known: 'config'", stage.get_config_path, "shear")
        self.assert_says("no config file 'shear' in this stage; known: none", descpipe.Stage().get_config_path, "shear")

    def test_says_which_file_is_missing(self):
        stage = Example()
        self.assert_says("input 'bands' is missing: there is no '{0}/input/bands.txt' (DESC_INPUT is '{0}/input')",
                         stage.get_input_path, "bands")
        self.assert_says("config file 'config' is missing: there is no '{0}/config/config.yaml' (DESC_CONFIG is '{0}/config')",
                         stage.get_config_path, "config")
        os.rmdir(self.path("output"))
        self.assert_says("the output folder '{0}/output' is missing (DESC_OUTPUT is '{0}/output')",
                         stage.get_output_path, "figures")
        del os.environ["DESC_INPUT"]
        if not os.path.exists("/opt/input"):
            self.assert_says("input 'bands' is missing: there is no '/opt/input/bands.txt'"
                             " (DESC_INPUT is not set, so '/opt/input' counts)", Example().get_input_path, "bands")


class Members(StageCase):
    def test_is_serial_unless_told_otherwise(self):
        os.environ.update(DESC_RANK="3", DESC_SIZE="7")
        for said in ("", "serial"):
            os.environ["DESC_PARALLEL"] = said
            stage = Example()
            self.assertEqual(("serial", 0, 1, None, False),
                             (stage.parallel, stage.get_rank(), stage.get_size(), stage.get_comm(), stage.is_mpi()))

    def test_takes_rank_and_size_as_numbers_in_both_spellings(self):
        for said in ("embarrassing", "embarassing"):
            os.environ.update(DESC_PARALLEL=said, DESC_RANK="3", DESC_SIZE="7")
            stage = Example()
            self.assertEqual((3, 7, "embarrassing", "embarrassing"),
                             (stage.get_rank(), stage.get_size(), stage.parallel, stage.parallelism))

    def test_refuses_a_place_that_makes_no_sense(self):
        table = [
            ({"DESC_PARALLEL": "threads"}, "DESC_PARALLEL is 'threads'; it can be serial, mpi or embarrassing"),
            ({"DESC_PARALLEL": "embarassing"}, "DESC_PARALLEL is embarassing but DESC_RANK is not set"),
            ({"DESC_PARALLEL": "embarassing", "DESC_RANK": "0"}, "DESC_PARALLEL is embarassing but DESC_SIZE is not set"),
            ({"DESC_PARALLEL": "embarassing", "DESC_RANK": "x", "DESC_SIZE": "2"}, "DESC_RANK is 'x', which is not a whole number"),
            ({"DESC_PARALLEL": "embarassing", "DESC_RANK": "-1", "DESC_SIZE": "2"}, "DESC_RANK is '-1', which is not a whole number"),
            ({"DESC_PARALLEL": "embarassing", "DESC_RANK": "2", "DESC_SIZE": "2"},
             "DESC_RANK is 2 but DESC_SIZE is 2; ranks go from 0 to size - 1"),
        ]
        for variables, text in table:
            for name in ("DESC_PARALLEL", "DESC_RANK", "DESC_SIZE"):
                os.environ.pop(name, None)
            os.environ.update(variables)
            self.assert_says(text, Example().get_rank)

    def with_mpi(self, content):
        self.write("", "fake", "mpi4py", "__init__.py")
        self.write(content, "fake", "mpi4py", "MPI.py")
        sys.path.insert(0, self.path("fake"))
        self.addCleanup(sys.path.remove, self.path("fake"))
        for name in ("mpi4py", "mpi4py.MPI"):
            sys.modules.pop(name, None)
            self.addCleanup(sys.modules.pop, name, None)

    WORLD = "class World:\n    def Get_rank(self):\n        return {}\n    def Get_size(self):\n        return {}\nCOMM_WORLD = World()\n"

    def test_asks_mpi_for_rank_and_size(self):
        self.with_mpi(self.WORLD.format(2, 4))
        os.environ.update(DESC_PARALLEL="mpi", DESC_RANK="9", DESC_SIZE="4")
        stage = Example()
        self.assertEqual((2, 4, True, "World"), (stage.get_rank(), stage.get_size(), stage.is_mpi(), type(stage.get_comm()).__name__))

    def test_refuses_a_world_of_one_where_more_were_started(self):
        self.with_mpi(self.WORLD.format(0, 1))
        os.environ.update(DESC_PARALLEL="mpi", DESC_SIZE="4")
        self.assert_says("MPI sees 1 rank(s) but DESC_SIZE is 4: the image's MPI does not understand this launcher", Example().get_size)

    def test_says_that_the_image_lacks_mpi4py(self):
        self.with_mpi("raise ImportError('no libmpi')\n")
        os.environ["DESC_PARALLEL"] = "mpi"
        self.assert_says("an mpi stage needs mpi4py in its image (no libmpi)", Example().get_rank)

    def test_knows_the_foreach_values(self):
        os.environ.update(DESC_EACH_BAND="g", DESC_EACH_MIN_MAG="0.5")
        stage = Example()
        self.assertEqual({"band": "g", "min_mag": "0.5"}, stage.each)
        self.assertEqual(("g", "0.5"), (stage.get_each("band"), stage.get_each("min-mag")))
        self.assert_says("no foreach value 'field': DESC_EACH_FIELD is not set (known: band, min_mag)", stage.get_each, "field")

    def test_says_that_there_are_no_foreach_values(self):
        self.assert_says("no foreach value 'field': DESC_EACH_FIELD is not set (this stage has no foreach values)",
                         Example().get_each, "field")


class Main(StageCase):
    def run_stage(self, body):
        self.write("import descpipe\n\n\nclass Stage(descpipe.Stage):\n    name = 'example'\n    inputs = {'a': 'txt'}\n\n"
                   "    def run(self):\n        " + body + "\n\n\nif __name__ == '__main__':\n    Stage.main()\n", "run.py")
        child = subprocess.Popen([sys.executable, self.path("run.py")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = child.communicate()
        return child.returncode, out.decode(), err.decode()

    def test_runs_the_stage(self):
        self.assertEqual((0, "done\n", ""), self.run_stage("print('done')"))

    def test_ends_with_one_line_when_something_is_missing(self):
        status, out, err = self.run_stage("print('before'); self.get_input_path('b')")
        self.assertEqual((2, "before\n", "descpipe: example: no input 'b' in this stage; known: 'a'\n"), (status, out, err))

    def test_leaves_other_errors_as_they_are(self):
        status, _, err = self.run_stage("raise ValueError('x')")
        self.assertEqual(1, status)
        self.assertTrue(err.endswith("ValueError: x\n"), err)

    def test_hands_over_each_line_when_it_is_printed(self):
        # os._exit drops what is still in a buffer, so only what was handed over is seen.
        self.assertEqual((0, "line\n", ""), self.run_stage("import os; print('line'); os._exit(0)"))

    def test_says_that_a_stage_has_no_run(self):
        self.assert_says("class Example has no run()", Example().run)


class Syntax(unittest.TestCase):
    @unittest.skipIf(sys.version_info < (3, 8), "ast takes feature_version since 3.8")
    def test_keeps_to_the_language_of_python_3_4(self):
        path = descpipe.__file__
        with open(path) as source:
            tree = ast.parse(source.read(), path, feature_version=(3, 4))
        # feature_version does not cover everything that came later.
        newer = [node.lineno for node in ast.walk(tree)
                 if isinstance(node, (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Starred))
                 or isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)]
        self.assertEqual([], newer)

    def test_imports_the_standard_library_only(self):
        with open(descpipe.__file__) as source:
            tree = ast.parse(source.read())
        names = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
        self.assertEqual({"io", "json", "os", "re", "sys", "mpi4py.MPI", "yaml"}, names)  # the last two only when there


if __name__ == "__main__":
    unittest.main(verbosity=2)
