#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The engine is killed at every write to its journal and every step of publishing; `resume` finishes the run.

Usage: crash_points.py DESCPIPE PRELOAD PLUGINS SCHEDULER RUNTIME [IMAGE [STRIDE]]      every STRIDE-th step
SCHEDULER: sequential, local, slurm (a simulator of its own for each round) or real-slurm (the one of $SLURM_CONF);
real-slurm-detached: killed while it hands the run over

How it works: crash_point.so ends the engine at step N, for N from 1 until a run is long enough to end first. Then
`descpipe resume`, which is killed too on every third round, until the run has ended. Each stage writes a line into a
file of its own when it begins: one line each, whatever happened. Each worker process is a subreaper, so that what is
left of a run becomes its child: nothing may be.
"""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

PATIENCE_S = 120
WORKERS = 4  # a round mostly waits
STEPS_LIMIT = 400
PR_SET_CHILD_SUBREAPER = 36

SIMULATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fakes/slurm/simulator.py")

PIPELINE = """\
pipeline: {{name: crash, stages: [first, many, last]}}
runtime: {{backend: here, working: ./work, output: ./out}}
backends:
  here: {{scheduler: {scheduler}, runtime: {runtime}}}
first:
  image: '{image}'
  pull: never
  outputs: {{one: txt}}
  command: [/bin/sh, -c, 'echo x >> "$$DESC_OUTPUT/begun"; sleep 0.05; echo one > "$$DESC_OUTPUT/one.txt"']
many:
  image: '{image}'
  pull: never
  size: 2
  inputs: {{one: txt}}
  outputs: {{two: txt}}
  command: [/bin/sh, -c, 'echo x >> "$$DESC_OUTPUT/begun"; cp "$$DESC_INPUT/one.txt" "$$DESC_OUTPUT/two.txt"']
last:
  image: '{image}'
  pull: never
  inputs: {{two: txt}}
  outputs: {{three: txt}}
  command: [/bin/sh, -c, 'echo x >> "$$DESC_OUTPUT/begun"; cat "$$DESC_INPUT"/two/* > "$$DESC_OUTPUT/three.txt"']
"""
BEGUN = ["first", "many", "many", "last"]


def fail(words, folder, log):
    sys.exit(f"{words}\nin {folder}\n{log}")


def run_descpipe(descpipe, plugins, words, folder, crash=None):
    """Its exit status and all it said."""
    environment = dict(os.environ, HOME=folder, XDG_STATE_HOME=folder + "/state", XDG_CACHE_HOME=folder + "/cache")
    if crash is not None:
        environment.update(LD_PRELOAD=crash[0], CRASH_STEP=str(crash[1]), CRASH_HOW=crash[2])
    result = subprocess.run([descpipe, "--plugin-dir", plugins, *words], cwd=folder, env=environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=PATIENCE_S, check=False, text=True)
    return result.returncode, f"$ descpipe {' '.join(words)} {crash}\n{result.stdout}"


def wait_for_orphans():
    signal.alarm(PATIENCE_S)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        signal.alarm(0)


def run_folder(folder):
    runs = os.path.join(folder, "work/.descpipe/runs")
    names = os.listdir(runs) if os.path.isdir(runs) else []
    return os.path.join(runs, names[0]) if len(names) == 1 else None


def verdicts(folder, log):
    """The members (or None) that have the verdict OK, by stage; each once."""
    good, previous = [], 0
    with open(os.path.join(run_folder(folder), "journal.jsonl"), encoding="utf-8", errors="replace") as journal:
        for line in journal:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # cut by a kill
            if record["kind"] == "verdict":
                if record["verdict"] != "OK":
                    fail(f"a verdict that is not OK: {line}", folder, log)
                good.append(record["stage"])
            previous = record["seq"]
    if sorted(good) != sorted(BEGUN):
        fail(f"verdicts after {previous} records: {good}", folder, log)


def begun(folder, log):
    """Every attempt that there was: one for each task, begun once."""
    attempts = []
    for where, _, files in os.walk(os.path.join(run_folder(folder), "attempts")):
        if "begun" in files:
            with open(os.path.join(where, "begun"), encoding="utf-8") as lines:
                attempts += [os.path.basename(where).split(".")[0]] * len(lines.readlines())
    if sorted(attempts) != sorted(BEGUN):
        fail(f"stages were begun: {attempts}", folder, log)


def check(folder, log, has_verdicts):
    if has_verdicts:
        verdicts(folder, log)
    begun(folder, log)
    for path, text in (("work/data/one.txt", "one\n"), ("work/data/two/0.txt", "one\n"),
                       ("work/data/two/1.txt", "one\n"), ("out/three.txt", "one\none\n")):
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            if file.read() != text:
                fail(f"{path} is wrong", folder, log)
    for where, folders, files in os.walk(os.path.join(folder, "work")):
        if where.endswith("/.descpipe"):
            folders.clear()  # what is private may be left untidy
        for name in folders + files:
            if name.startswith(".descpipe-") and name.endswith(".tmp"):
                fail(f"left behind: {where}/{name}", folder, log)


def containers():
    """What a Docker Engine has of any run."""
    host = os.environ["DESCPIPE_TEST_DOCKER"].removeprefix("unix://")
    return subprocess.run(["curl", "--silent", "--fail", "--globoff", "--unix-socket", host,
                           'http://localhost/containers/json?all=1&filters={"label":["descpipe.run"]}'],
                          check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def slurm_jobs(folder, log):
    """The journal forgets what was never written; SLURM knows each job that there was: one for each task."""
    run = os.path.basename(run_folder(folder))
    jobs = [line for line in subprocess.run(["squeue", "--noheader", "--states=all", "--array", "--format=%j %i %T"],
                                            check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
            if line.startswith(run)]
    if len(jobs) != len(BEGUN):
        fail(f"SLURM had of it: {jobs}", folder, log)


def one_round(options, step, how):
    """False: the run ended before that step."""
    descpipe, preload, plugins, scheduler, runtime, image = options
    folder = tempfile.mkdtemp(prefix="descpipe-crash-")
    if scheduler == "slurm":
        subprocess.run([sys.executable, SIMULATOR, "make", folder + "/slurm"], check=True, stdout=subprocess.DEVNULL)
        scheduler = f"{{use: slurm, commands: {folder}/slurm/bin, poll: 100ms}}"
    if scheduler.startswith("real-slurm"):  # under slurm/testbed_test.sh
        scheduler = "{use: slurm, poll: 500ms}"
    if runtime == "docker":  # under engine_test.sh
        runtime = f"{{use: docker, host: '{os.environ['DESCPIPE_TEST_DOCKER']}'}}"
    with open(os.path.join(folder, "p.yaml"), "w", encoding="utf-8") as file:
        file.write(PIPELINE.format(scheduler=scheduler, runtime=runtime, image=image))
    detached = options[3] == "real-slurm-detached"
    words = ["run", "--detach", "p.yaml"] if detached else ["run", "p.yaml"]
    status, log = run_descpipe(descpipe, plugins, words, folder, (preload, step, how))
    killed = status == 70
    if detached and status == 0:
        status, words = run_descpipe(descpipe, plugins, ["resume", "work"], folder)
        if status != 0:
            fail(f"following what was handed over: exit status {status}", folder, log + words)
        shutil.rmtree(folder)
        return False
    if not killed and status != 0:
        fail(f"run: exit status {status}", folder, log)
    if killed and step % 3 == 0:
        status, words = run_descpipe(descpipe, plugins, ["resume", "work"], folder, (preload, 1 + step // 3, how))
        log += words
    tries = 0
    while status == 70 and tries < 3:
        status, words = run_descpipe(descpipe, plugins, ["resume", "work"], folder)
        log += words
        tries += 1
    if status != 0:
        fail(f"resume: exit status {status}", folder, log)
    wait_for_orphans()
    check(folder, log, not detached)  # jobs on their own tell nobody; and one that was not sent may be LOST first
    if options[3] == "real-slurm":
        slurm_jobs(folder, log)
    shutil.rmtree(folder)
    return killed


def work(options, stride, worker):
    """Every WORKERS-th step of those asked for, both ways."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for how in ("half", "after"):
        step = 1 + worker * stride
        while one_round(options, step, how):
            step += WORKERS * stride
            if step > STEPS_LIMIT:
                sys.exit(f"no run ended before step {step}")
        print(f"{options[3]} on {options[4]}, {how} a step: worker {worker} ended before step {step}", flush=True)
        if step == 1 + worker * stride:
            sys.exit(f"worker {worker} killed nothing")


def main():
    image = sys.argv[6] if len(sys.argv) > 6 else "rootfs:/"
    stride = int(sys.argv[7]) if len(sys.argv) > 7 else 1
    workers = []
    for worker in range(WORKERS):
        child = os.fork()
        if child == 0:
            work((*sys.argv[1:6], image), stride, worker)
            os._exit(0)
        workers.append(child)
    failures = [child for child in workers if os.waitpid(child, 0)[1] != 0]
    if not failures and sys.argv[5] == "docker" and containers() != "[]":
        sys.exit(f"containers are left: {containers()}")
    sys.exit(1 if failures else 0)


main()
