#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many stages: what fails by chance and is tried again, a killed engine, and fifty readers, and still the right table.

Usage: load.py DESCPIPE PLUGINS [--stages=N] [--readers=N] [--read=N] [--seed=N]

How it works: a seed decides which stages fail, and how often; some fail more often than their retries allow. The engine
is killed when half of the stages are done; `resume` goes on. Each attempt that the plan of failures foresees must have
been started once, and status, trace.tsv and the journal must agree on how each stage ended. Then a run that is read by
many at once while it goes on: whatever they see adds up, and only ever moves forward.
Each phase says its time, CPU and memory: with --stages=100000 this is a measurement.
"""
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
PATIENCE_S = 1800
RETRIES = 2
ALWAYS = 99
TRANSIENT = 75
# The file is no word of the command: a file named there is taken as the stage's program, which may not change.
FLAKY = """begun=%s/begun/$1
echo x >> "$begun"; [ "$(wc -l < "$begun")" -gt "$2" ] || exit %d
"""


def wait_for_orphans():
    """The engine is one: this process is a subreaper, so that its time counts."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass


class Load:
    """One working folder, and the program in it."""

    def __init__(self, descpipe, plugins, folder, stages):
        self.descpipe, self.plugins, self.folder, self.stages = descpipe, plugins, folder, stages
        self.environment = dict(os.environ, HOME=folder, XDG_STATE_HOME=folder + "/state",
                                XDG_CACHE_HOME=folder + "/cache")

    def words(self, words):
        return [self.descpipe, "--plugin-dir", self.plugins, *words]

    def run(self, words, wanted, what=None):
        """What it printed; the first line of a phase that has a name."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        result = subprocess.run(self.words(words), cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
        if what is not None:
            wait_for_orphans()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if result.returncode != wanted:
            self.fail(f"{words}: exit status {result.returncode}, not {wanted}", result.stdout[-2000:], result.stderr[-2000:])
        if what is not None:
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{what}: {time.monotonic() - began:.2f} s, CPU {cpu:.2f} s, largest so far {after.ru_maxrss // 1024} MiB",
                  flush=True)
        return result.stdout.decode()

    def fail(self, *words):
        sys.exit("\n".join(str(word) for word in words) + f"\nin {self.folder}")

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def run_folder(self):
        runs = os.path.join(self.folder, "work/.descpipe/runs")
        names = os.listdir(runs) if os.path.isdir(runs) else []
        return os.path.join(runs, names[0]) if len(names) == 1 else None

    def records(self):
        with open(os.path.join(self.run_folder(), "journal.jsonl"), encoding="utf-8") as journal:
            for line in journal:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # cut by the kill

    def wait_for_verdicts(self, number, child):
        """The engine's pid, once so many stages have ended."""
        seen, engine, deadline = 0, None, time.monotonic() + PATIENCE_S
        while self.run_folder() is None or not os.path.exists(os.path.join(self.run_folder(), "journal.jsonl")):
            if child.poll() is not None or time.monotonic() > deadline:
                self.fail("no run has begun")
            time.sleep(0.001)
        with open(os.path.join(self.run_folder(), "journal.jsonl"), "rb") as journal:
            rest = b""
            while seen < number:
                rest += journal.read()
                *lines, rest = rest.split(b"\n")
                seen += sum(b'"kind":"verdict"' in line for line in lines)
                for line in lines[:5]:
                    if engine is None and b'"kind":"writer"' in line:
                        engine = json.loads(line)["pid"]
                if child.poll() is not None or time.monotonic() > deadline:
                    self.fail(f"{seen} of {number} verdicts were seen")
        return engine


def pipeline(stages, folder):
    """A section for each stage: its number makes it another one for the cache."""
    names = ", ".join(f"s{i}" for i in range(len(stages)))
    sections = []
    for number, failures in enumerate(stages):
        if failures == 0:
            sections.append(f"s{number}: {{command: [/bin/true, '{number}']}}\n")
        else:
            sections.append(f"s{number}: {{command: [/bin/sh, {folder}/flaky.sh, '{number}', '{failures}'], "
                            f"retries: {{limit: {RETRIES}, on: ['exit:{TRANSIENT}'], backoff: 0s}}}}\n")
    return (f"pipeline: {{name: load, stages: [{names}]}}\nruntime: {{working: ./work, output: ./out}}\n"
            "backends: {default: {scheduler: {use: local, jobs: 2}, runtime: host}}\n" + "".join(sections))


def is_good(failures):
    return failures <= RETRIES


def attempts(failures):
    """How many there may be. What had failed for good before the engine was killed is tried once more by `resume`."""
    return range(failures + 1, failures + 2) if is_good(failures) else range(RETRIES + 1, RETRIES + 3)


def check_tables(load):
    """Status, trace and journal against what the seed decided."""
    stages = load.stages
    good = sum(is_good(failures) for failures in stages)
    status = json.loads(load.run(["status", "--json", "work"], 0, "status --json"))
    counts = {state: number for state, number in status["counts"].items() if number > 0}
    if counts != {"succeeded": good, "failed": len(stages) - good}:
        load.fail(f"status counts {counts}; {good} of {len(stages)} succeed")
    for stage, failures in zip(status["stages"], stages):
        wanted = ("succeeded", "OK", 0) if is_good(failures) else ("failed", "EXIT", TRANSIENT)
        if (stage["state"], stage["verdict"], stage["exit"]) != wanted or stage["attempt"] not in attempts(failures):
            load.fail(f"status says {stage}; it fails {failures} times")
    started, stage_of = {}, {}
    for record in load.records():
        if record["kind"] == "intent":
            stage_of.update((job["job"], job["stage"]) for job in record["jobs"])
        if record["kind"] in ("started", "adopted"):  # the engine was killed before it could write the former
            started.setdefault(stage_of[record["job"]], set()).add(record["job"])
    for number, failures in enumerate(stages):
        jobs = started.get(f"s{number}", set())
        if len(jobs) not in attempts(failures):
            load.fail(f"s{number} was started as jobs {jobs}; it fails {failures} times")
        begun = os.path.join(load.folder, "begun", str(number))
        if failures > 0 and os.path.getsize(begun) != 2 * len(jobs):
            load.fail(f"s{number} was begun {os.path.getsize(begun) // 2} times, as jobs {jobs}")
    with open(os.path.join(load.run_folder(), "trace.tsv"), encoding="utf-8") as trace:
        lines = [line.rstrip("\n").split("\t") for line in trace]
    column = {name: place for place, name in enumerate(lines[0])}
    completed = [line for line in lines[1:] if line[column["status"]] == "COMPLETED"]
    if len(lines) - 1 != len(stages) or len(completed) != good:
        load.fail(f"trace.tsv has {len(lines) - 1} stages, {len(completed)} of them completed")
    backwards = [line for line in completed if line[column["start"]] > line[column["complete"]]]
    if backwards:
        load.fail("trace.tsv has ends before their starts", *backwards[:5])
    load.run(["verify", "work"], 0, "verify")


def check_files(load):
    """No file per task: logs that stayed empty are removed, folders are made for outputs only."""
    stages = load.stages
    files = [os.path.join(where, name) for where, _, names in os.walk(load.run_folder()) for name in names]
    print(f"{len(files)} files in the run folder, journal of {os.path.getsize(load.run_folder() + '/journal.jsonl') / len(stages):.0f} "
          "bytes a stage", flush=True)
    if len(files) > 10:
        load.fail(*files[:20])


def killed_and_resumed(load):
    stages = load.stages
    os.mkdir(os.path.join(load.folder, "begun"))
    load.write("flaky.sh", FLAKY % (load.folder, TRANSIENT))
    load.write("p.yaml", pipeline(stages, load.folder))
    with open(os.path.join(load.folder, "run.log"), "wb") as log:
        first = subprocess.Popen(load.words(["run", "--keep-going", "-q", "p.yaml"]), cwd=load.folder, env=load.environment,
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.kill(load.wait_for_verdicts(len(stages) // 2, first), signal.SIGKILL)
        if first.wait(timeout=PATIENCE_S) == 0:
            load.fail("a killed run has succeeded")
    wanted = 0 if all(map(is_good, stages)) else 5
    load.run(["resume", "--keep-going", "-q", "work"], wanted, "resume")
    check_tables(load)
    check_files(load)


def read_on(load, number, child, seen, errors):
    """One of many readers: nothing it sees may be torn, and what is done stays done."""
    done, total = 0, len(load.stages)
    while child.poll() is None and not errors:
        for words in (["status", "--json", "work"], ["status", "work"], ["logs", "work", f"s{number}"]):
            result = subprocess.run(load.words(words), cwd=load.folder, env=load.environment, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
            if result.returncode != 0:
                errors.append(f"{words}: exit status {result.returncode}: {result.stderr.decode()}")
                return
            if "--json" not in words:
                continue
            status = json.loads(result.stdout)
            counts = status["counts"]
            states = {}
            for stage in status["stages"]:
                states[stage["state"]] = states.get(stage["state"], 0) + 1
            if states != {state: count for state, count in counts.items() if count > 0}:
                errors.append(f"counts {counts} of stages that are {states}")
            if status["damaged_lines"] != 0 or counts["succeeded"] < done or len(status["stages"]) != total:
                errors.append(f"after {done} of {total} done: {counts}, {status['damaged_lines']} damaged lines")
            done = counts["succeeded"]
            seen.append(done)


def read_by_many(load, readers):
    load.write("p.yaml", pipeline(load.stages, load.folder).replace("/bin/true, '", "/bin/sleep, '0.05"))
    child = subprocess.Popen(load.words(["run", "-q", "p.yaml"]), cwd=load.folder, env=load.environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    load.wait_for_verdicts(1, child)
    seen, errors = [], []
    threads = [threading.Thread(target=read_on, args=(load, number, child, seen, errors)) for number in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if child.wait(timeout=PATIENCE_S) != 0 or errors:
        load.fail(f"run: exit status {child.returncode}", *errors[:5])
    if not 0 < sorted(seen)[len(seen) // 2] < len(load.stages):
        load.fail(f"they have read nothing of a run that goes on: {seen}")
    print(f"{readers} readers looked {len(seen)} times, at up to {len(set(seen))} states of {len(load.stages)} stages", flush=True)


def in_a_folder(stages, phase, *arguments):
    folder = tempfile.mkdtemp(prefix="descpipe-load-")
    phase(Load(sys.argv[1], sys.argv[2], folder, stages), *arguments)
    shutil.rmtree(folder)  # what failed is left to be looked at


def argument(name, fallback):
    return next((int(word.split("=")[1]) for word in sys.argv[3:] if word.startswith(f"--{name}=")), fallback)


def main():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chance = random.Random(argument("seed", 1))
    stages = [chance.choice([1, 1, 2, ALWAYS]) if chance.random() < 0.01 else 0 for _ in range(argument("stages", 10000))]
    print(f"{len(stages)} stages, {sum(failures > 0 for failures in stages)} of them fail, "
          f"{sum(not is_good(failures) for failures in stages)} too often", flush=True)
    in_a_folder(stages, killed_and_resumed)
    in_a_folder([0] * argument("read", 300), read_by_many, argument("readers", 50))


main()
