# SPDX-License-Identifier: BSD-3-Clause
"""What a stage imports inside its container: paths of its files, its configuration, its rank and size.

One file, standard library only, Python 3.4 or newer. An image may bring it along (anywhere on its Python path). Into an image that
lacks it, descpipe mounts the folder of this file read-only at /opt/descpipe-python and appends that folder to PYTHONPATH, so that an
image's own copy wins.

A stage is a file run.py:

    #!/usr/bin/env python3
    import descpipe

    class Stage(descpipe.Stage):
        name = "tomography"
        config = {"config": "config.yaml"}           # tag: file name
        inputs = {"photoz-catalog": "fits"}          # tag: suffix
        outputs = {"tomographic-catalog": "fits"}    # tag: suffix; "/" is a folder

        def run(self):
            import numpy                             # imports of the work belong in here
            path = self.get_input_path("photoz-catalog")

    if __name__ == "__main__":
        Stage.main()

descpipe reads the four class attributes without running the file, so they hold literals only.

The environment, with what counts when a variable is not set:

    DESC_INPUT, DESC_OUTPUT, DESC_CONFIG    folders: /opt/input, /opt/output, /opt/config
    DESC_PARALLEL                           serial (default), mpi, embarrassing (or the older spelling "embarassing")
    DESC_RANK, DESC_SIZE                    this member's number from 0, and how many there are
    DESC_EACH_NAME                          the value of the foreach key "name" for this member
"""
import io
import os
import re
import sys

__all__ = ["Stage", "StageError"]

_SERIAL = "serial"
_MPI = "mpi"
_EMBARRASSING = "embarrassing"
_SPELLINGS = {
    "serial": _SERIAL,
    "mpi": _MPI,
    "embarrassing": _EMBARRASSING,
    "embarassing": _EMBARRASSING,
}
_DEFAULT_FOLDERS = {
    "DESC_INPUT": "/opt/input",
    "DESC_OUTPUT": "/opt/output",
    "DESC_CONFIG": "/opt/config",
}
_EACH_PREFIX = "DESC_EACH_"
# A configuration is written by a person; anything larger is data and belongs to the inputs.
_CONFIG_LIMIT_BYTES = 16 * 1024 * 1024


class StageError(Exception):
    """Something the stage needs is missing or wrong; the text says what and where."""


class Stage(object):
    """Base class of a stage; a stage sets the four attributes and writes run()."""

    name = ""
    config = {}
    inputs = {}
    outputs = {}

    def __init__(self):
        self.config_dir = _folder("DESC_CONFIG")
        self.input_dir = _folder("DESC_INPUT")
        self.output_dir = _folder("DESC_OUTPUT")
        self._parallel = None
        self._rank = None
        self._size = None
        self._comm = None

    @classmethod
    def main(cls):
        """Runs the stage; what is missing ends it with one line and exit status 2."""
        _flush_every_line()
        try:
            cls().run()
        except StageError as error:
            sys.stdout.flush()
            sys.stderr.write("descpipe: {}: {}\n".format(cls.name or cls.__module__, error))
            sys.exit(2)

    def run(self):
        """The stage's work; each stage writes its own."""
        raise StageError("class {} has no run()".format(type(self).__name__))

    # Paths

    def get_input_path(self, tag):
        """The path of an input: a file, or a folder for the suffix "/" and for the files of all members."""
        name = _file_name(tag, self.inputs, "input")
        path = os.path.join(self.input_dir, name)
        if os.path.exists(path):
            return path
        # A producer with members leaves one file each in a folder named by the tag.
        members = os.path.join(self.input_dir, tag)
        if os.path.isdir(members):
            return members
        raise StageError("input '{}' is missing: there is no '{}'{}".format(tag, path, _folder_note("DESC_INPUT")))

    def get_input_members(self, tag):
        """The files of an input that a stage with members made: a list of (member name, path), sorted by name."""
        folder = self.get_input_path(tag)
        suffix = self.inputs[tag]
        if suffix != "/" and folder == os.path.join(self.input_dir, _file_name(tag, self.inputs, "input")):
            raise StageError("input '{}' is one file, '{}', not the files of several members".format(tag, folder))
        ending = "" if suffix == "/" else "." + suffix
        found = []
        for name in sorted(os.listdir(folder)):
            if name.endswith(ending) and len(name) > len(ending):
                found.append((name[: len(name) - len(ending)], os.path.join(folder, name)))
        return found

    def get_output_path(self, tag):
        """The path to write an output to; for the suffix "/" the folder is made."""
        name = _file_name(tag, self.outputs, "output")
        if not os.path.isdir(self.output_dir):
            raise StageError("the output folder '{}' is missing{}".format(self.output_dir, _folder_note("DESC_OUTPUT")))
        path = os.path.join(self.output_dir, name)
        if self.outputs[tag] == "/":
            os.makedirs(path, exist_ok=True)
        return path

    def get_config_path(self, tag):
        """The path of a configuration file."""
        path = os.path.join(self.config_dir, _lookup(tag, self.config, "config file"))
        if not os.path.exists(path):
            raise StageError("config file '{}' is missing: there is no '{}'{}".format(tag, path, _folder_note("DESC_CONFIG")))
        return path

    def get_config(self, tag):
        """The content of a configuration file: JSON by its name or first letter, else YAML.

        Without PyYAML in the image a small subset of YAML is read: "key: value" lines and lists of single values. What is
        outside of it, or would mean something else to PyYAML, is refused with its line.
        """
        path = self.get_config_path(tag)
        with io.open(path, "rb") as source:
            content = source.read(_CONFIG_LIMIT_BYTES + 1)
        if len(content) > _CONFIG_LIMIT_BYTES:
            raise StageError("config file '{}' is larger than {} bytes".format(path, _CONFIG_LIMIT_BYTES))
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise StageError("config file '{}' is not UTF-8: {}".format(path, error))
        return _parse_config(text, path)

    # Members

    @property
    def parallel(self):
        """How this stage runs: "serial", "mpi" or "embarrassing"."""
        self._find_place()
        return self._parallel

    @property
    def parallelism(self):
        """An older name of `parallel`."""
        return self.parallel

    def is_mpi(self):
        return self.parallel == _MPI

    def get_rank(self):
        """This member's number, from 0."""
        self._find_place()
        return self._rank

    def get_size(self):
        """How many members or ranks there are; 1 for a serial stage."""
        self._find_place()
        return self._size

    def get_comm(self):
        """mpi4py's COMM_WORLD in an mpi stage, else None."""
        self._find_place()
        return self._comm

    @property
    def each(self):
        """The foreach values of this member: {name in lower case: text}."""
        return dict(
            (name[len(_EACH_PREFIX):].lower(), value) for name, value in os.environ.items() if name.startswith(_EACH_PREFIX)
        )

    def get_each(self, key):
        """The value of one foreach key for this member, as text."""
        variable = _EACH_PREFIX + re.sub("[^A-Za-z0-9]", "_", key).upper()
        if variable not in os.environ:
            known = sorted(self.each)
            raise StageError(
                "no foreach value '{}': {} is not set ({})".format(
                    key, variable, "known: " + ", ".join(known) if known else "this stage has no foreach values"
                )
            )
        return os.environ[variable]

    def _find_place(self):
        if self._parallel is not None:
            return
        said = os.environ.get("DESC_PARALLEL") or _SERIAL
        parallel = _SPELLINGS.get(said)
        if parallel is None:
            raise StageError("DESC_PARALLEL is '{}'; it can be serial, mpi or embarrassing".format(said))
        if parallel == _SERIAL:
            self._rank, self._size = 0, 1
        elif parallel == _EMBARRASSING:
            self._rank, self._size = _member_from_environment()
        else:
            self._comm = _open_world()
            self._rank, self._size = self._comm.Get_rank(), self._comm.Get_size()
        self._parallel = parallel


# Files and folders


def _folder(variable):
    return os.environ.get(variable) or _DEFAULT_FOLDERS[variable]


def _folder_note(variable):
    if os.environ.get(variable):
        return " ({} is '{}')".format(variable, os.environ[variable])
    return " ({} is not set, so '{}' counts)".format(variable, _DEFAULT_FOLDERS[variable])


def _lookup(tag, table, what):
    if tag in table:
        return table[tag]
    known = ", ".join("'{}'".format(name) for name in sorted(table))
    raise StageError("no {} '{}' in this stage; known: {}".format(what, tag, known or "none"))


def _file_name(tag, table, what):
    suffix = _lookup(tag, table, what)
    return tag if suffix == "/" else "{}.{}".format(tag, suffix)


def _flush_every_line():
    # Under a runtime the output is a pipe, which Python fills by the block: the live view would show nothing for minutes.
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or stream.line_buffering:
        return
    stream.flush()
    encoding, errors = stream.encoding, stream.errors
    sys.stdout = io.TextIOWrapper(stream.detach(), encoding=encoding, errors=errors, line_buffering=True)


# Rank and size


def _number_from_environment(variable):
    said = os.environ.get(variable)
    if not said:
        raise StageError("DESC_PARALLEL is {} but {} is not set".format(os.environ["DESC_PARALLEL"], variable))
    if not re.match("[0-9]{1,9}$", said):
        raise StageError("{} is '{}', which is not a whole number".format(variable, said))
    return int(said)


def _member_from_environment():
    rank, size = _number_from_environment("DESC_RANK"), _number_from_environment("DESC_SIZE")
    if rank >= size:
        raise StageError("DESC_RANK is {} but DESC_SIZE is {}; ranks go from 0 to size - 1".format(rank, size))
    return rank, size


def _open_world():
    try:
        from mpi4py.MPI import COMM_WORLD
    except ImportError as error:
        raise StageError("an mpi stage needs mpi4py in its image ({})".format(error))
    # Ranks that were started without the launcher's variables each see a world of their own and would overwrite each other.
    if os.environ.get("DESC_SIZE"):
        expected = _number_from_environment("DESC_SIZE")
        if COMM_WORLD.Get_size() != expected:
            raise StageError(
                "MPI sees {} rank(s) but DESC_SIZE is {}: the image's MPI does not understand this launcher".format(
                    COMM_WORLD.Get_size(), expected
                )
            )
    return COMM_WORLD


# Configuration


def _parse_config(text, path):
    if path.endswith(".json") or text.lstrip()[:1] in ("{", "["):
        value = _parse_json(text, path)
        if value is not _NOT_JSON:
            return value
    try:
        import yaml
    except ImportError:
        return _SubsetReader(text, path).read()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StageError("config file '{}' is not YAML: {}".format(path, error))


_NOT_JSON = object()


def _parse_json(text, path):
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        if path.endswith(".json"):
            raise StageError("config file '{}' is not JSON: {}".format(path, error))
        return _NOT_JSON  # YAML has braces and brackets too


_INTEGER = re.compile("[-+]?(0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?$")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_NULL = ("", "~", "null", "Null", "NULL")
# Plain words that PyYAML or another reader takes for something else than text: booleans of YAML 1.1, the merge key.
_DOUBTFUL_WORD = re.compile("(y|n|yes|no|on|off|=|<<)$", re.IGNORECASE)
# Plain text that begins like a number, a date or a time, or a special float.
_DOUBTFUL_NUMBER = re.compile(r"[-+]?(\.?[0-9]|\.(inf|nan)$)", re.IGNORECASE)
_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_. /-]*?)[ ]*:(?:[ ]+(.*)|$)")
# Tabs, other line breaks of YAML, and what YAML does not allow.
_STRANGE = re.compile("\r(?!\n)|[^\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"\\": "\\", '"': '"', "/": "/", "n": "\n", "t": "\t", "r": "\r", "0": "\0"}


class _SubsetReader(object):
    """Reads "key: value" lines and lists of single values; whatever it accepts means the same to PyYAML."""

    def __init__(self, text, path):
        self.path = path
        self.lines = []
        strange = _STRANGE.search(text)
        if strange:
            self.refuse(text.count("\n", 0, strange.start()) + 1, "the character {!r}".format(strange.group()))
        for number, line in enumerate(re.split("\r\n|\n", text), 1):
            if line.rstrip() and not line.lstrip().startswith("#"):
                self.lines.append((number, line.rstrip()))
        if self.lines and self.lines[0][1] == "---":
            del self.lines[0]

    def refuse(self, number, why):
        raise StageError(
            "config file '{}', line {}: {}; this image has no PyYAML, and without it only 'key: value' lines and lists of"
            " single values can be read".format(self.path, number, why)
        )

    def read(self):
        if not self.lines:
            return None
        if self.lines[0][1].startswith("-"):
            items, rest = self.read_items(0)
            if rest != len(self.lines):
                self.refuse(self.lines[rest][0], "a list ends and something else begins")
            return items
        return self.read_mapping()

    def read_mapping(self):
        result = {}
        at = 0
        while at < len(self.lines):
            number, line = self.lines[at]
            if line[0] == " ":
                self.refuse(number, "an indented line that belongs to no list")
            match = _KEY.match(line)
            if not match:
                self.refuse(number, "not a 'key: value' line")
            key = match.group(1)
            self.check_plain(number, key)
            if key in _TRUE + _FALSE + _NULL:
                self.refuse(number, "the key '{}' is not text".format(key))
            if key in result:
                self.refuse(number, "the key '{}' is there twice".format(key))
            at += 1
            if at < len(self.lines) and self.lines[at][1].lstrip().startswith("-") and self.blank(match.group(2)):
                result[key], at = self.read_items(at)
            else:
                result[key] = self.read_value(number, match.group(2) or "")
        return result

    @staticmethod
    def blank(rest):
        return not rest or not rest.strip() or rest.lstrip().startswith("#")

    def read_items(self, at):
        items = []
        indent = None
        while at < len(self.lines):
            number, line = self.lines[at]
            stripped = line.lstrip(" ")
            if not re.match(r"-( |$)", stripped):
                break
            if indent is None:
                indent = len(line) - len(stripped)
            elif len(line) - len(stripped) != indent:
                self.refuse(number, "a list inside a list, or a change of indentation")
            rest = stripped[1:].strip()
            if re.match(r"-( |$)", rest) or _KEY.match(rest):
                self.refuse(number, "a list item that is not a single value")
            items.append(self.read_value(number, rest))
            at += 1
        if at < len(self.lines) and self.lines[at][1][0] == " ":
            self.refuse(self.lines[at][0], "an indented line that is not a list item")
        if indent is None:
            self.refuse(self.lines[at][0], "a '-' without a space after it")
        return items, at

    def read_value(self, number, text):
        text = text.strip()
        if text.startswith("["):
            return self.read_flow_list(number, text)
        value, rest = self.read_scalar(number, text, "")
        if rest.strip() and not re.match(r" +#", rest):
            self.refuse(number, "something follows the value: '{}'".format(rest.strip()))
        return value

    def read_flow_list(self, number, text):
        items = []
        rest = text[1:].lstrip()
        if rest.startswith("]"):
            rest = rest[1:]
        else:
            while True:
                if rest[:1] in ("[", "{", ",", ""):
                    self.refuse(number, "a list in brackets that is not complete on one line, or holds more than single values")
                value, rest = self.read_scalar(number, rest, ",]")
                items.append(value)
                rest = rest.lstrip()
                if rest.startswith("]"):
                    rest = rest[1:]
                    break
                if not rest.startswith(","):
                    self.refuse(number, "a list in brackets that is not complete on one line")
                rest = rest[1:].lstrip()
                if rest.startswith("]"):  # a comma may follow the last item
                    rest = rest[1:]
                    break
        if rest.strip() and not re.match(r" +#", rest):
            self.refuse(number, "something follows the list: '{}'".format(rest.strip()))
        return items

    def read_scalar(self, number, text, ends):
        """One value at the start of `text`, up to one of `ends` or a comment; and what follows it."""
        if text.startswith('"'):
            return self.read_double_quoted(number, text)
        if text.startswith("'"):
            match = re.match("'((?:[^']|'')*)'", text)
            if not match:
                self.refuse(number, "a quote that does not end on its line")
            return match.group(1).replace("''", "'"), text[match.end():]
        match = re.search(r"(?:^| )#" + ("|[" + re.escape(ends) + "]" if ends else ""), text)
        plain, rest = (text[: match.start()], text[match.start():]) if match else (text, "")
        if ends and re.search(r"[\[{}]|:$|^\?|^:", plain.strip()):
            self.refuse(number, "'{}' in a list in brackets".format(plain.strip()))
        return self.plain_value(number, plain.strip()), rest

    def read_double_quoted(self, number, text):
        value = []
        at = 1
        while at < len(text) and text[at] != '"':
            if text[at] == "\\":
                at += 1
                if text[at: at + 1] not in _ESCAPES:
                    self.refuse(number, "an escape '\\{}'".format(text[at: at + 1]))
                value.append(_ESCAPES[text[at]])
            else:
                value.append(text[at])
            at += 1
        if at >= len(text):
            self.refuse(number, "a quote that does not end on its line")
        return "".join(value), text[at + 1:]

    def plain_value(self, number, text):
        if text in _NULL:
            return None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        if _INTEGER.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
        self.check_plain(number, text)
        return text

    def check_plain(self, number, text):
        if _DOUBTFUL_WORD.match(text) or _DOUBTFUL_NUMBER.match(text):
            self.refuse(number, "'{}' can be read in two ways (put it in quotes if it is text)".format(text))
        if text[:1] in "&*!|>%@`{}[],?\"'#" or text[:1] == "-" and text[1:2] in ("", " ", "-"):
            self.refuse(number, "'{}' begins with a sign that has a meaning in YAML".format(text))
        if re.search(r":( |$)", text):
            self.refuse(number, "'{}' holds a mapping".format(text))
