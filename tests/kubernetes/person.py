# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of scripted servers have in common: a folder, and the program as a person uses it there."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
PATIENCE = 300


def is_gone(number):
    """Ended, or waiting only to be buried."""
    try:
        with open("/proc/%d/stat" % number, encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Person(unittest.TestCase):
    def serve(self, server):
        self.server = server
        self.cluster = server.cluster
        self.folder = tempfile.mkdtemp(prefix="descpipe-kubernetes-")
        self.killed = set()  # journals of runs that were killed already

    def tearDown(self):
        self.server.close()
        shutil.rmtree(self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def environment(self):
        home = {"HOME": self.folder, "KUBECONFIG": self.path("kubeconfig"), "XDG_STATE_HOME": self.path("state"),
                "XDG_CACHE_HOME": self.path("cache"), "XDG_CONFIG_HOME": self.path("config")}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "XDG_", "PIPELINE_", "WORKFLOW_"))}
        return {**kept, **home}

    def start(self, *words):
        return subprocess.Popen([PROGRAM, *words], cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def command(self, *words):
        process = self.start(*words)
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output

    def pipeline_of(self, scheduler, stages):
        text = "pipeline: {stages: [%s]}\nruntime: {working: work, output: out}\n" % ", ".join(stages)
        text += """backends:
  default:
    scheduler: {%s}
    runtime: docker
    registry: {use: oci, plain-http: true}
""" % scheduler
        for name, lines in stages.items():
            text += "%s: {image: %s/x:1, %s}\n" % (name, self.server.place, lines)
        self.write("pipeline.yaml", text)

    def run_to_end(self, expected=0):
        code, output = self.command("run", "pipeline.yaml")
        self.assertEqual(code, expected, output)
        return output

    def status(self):
        code, output = self.command("status", "--json")
        self.assertIn(code, (0, 5, 7), output)
        return {stage["name"]: stage for stage in json.loads(output)["stages"]}

    def verdict(self, stage="s"):
        return self.status()[stage]["verdict"]

    def log(self, stage="s"):
        return self.command("logs", stage)[1]

    def asked(self, method, part):
        with self.cluster.lock:
            return [line for line in self.cluster.requests if line.startswith(method + " ") and part in line]

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it never came true")
            time.sleep(0.05)

    def kill(self, process):
        """The engine and its keeper, hard; the journal of the run that goes on, the one written last, has their numbers."""
        numbers = {}
        journals = [os.path.join(folder, "journal.jsonl") for folder, _, names in os.walk(self.path("work", ".descpipe", "runs"))
                    if "journal.jsonl" in names]
        for journal in set(sorted(journals, key=os.path.getmtime)[-1:]) - self.killed:
            self.killed.add(journal)
            with open(journal, encoding="utf-8") as file:
                for line in file:
                    record = json.loads(line) if line.endswith("\n") else {}
                    if record.get("kind") in ("writer", "keeper"):
                        numbers[record["kind"]] = record["pid"]
        if not numbers:
            process.kill()
        for kind in ("keeper", "writer"):
            try:
                os.kill(numbers[kind], signal.SIGKILL)
            except (KeyError, ProcessLookupError):
                pass
        self.until(lambda: all(is_gone(number) for number in numbers.values()))  # a busy machine takes its time to end them
        process.communicate(timeout=PATIENCE)
        return "writer" in numbers
