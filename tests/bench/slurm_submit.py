#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The client's side of SLURM alone: a thousand stages that are ready together against one plain array of as many and against an sbatch
for each, and a thousand trivial stages in one allocation against a bare loop there.

    slurm_submit.py PROGRAM TESTBED [--stages=N] [--rounds=N] [--tasks=N]

CPU is that of the processes here, sbatch among them: on a busy machine it says more than time. Nothing of it is the controller's. The
sbatch for each are measured with a tenth of them.
"""
import glob
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 600
ARRAYS = 5 # of which one is measured


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(argv, times=1):
    """Wall and CPU seconds of one of `times` calls."""
    before, start = cpu_of_children(), time.monotonic()
    for _ in range(times):
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.monotonic() - start) / times, (cpu_of_children() - before) / times


def family(process):
    """A process and its children that live."""
    found = [process]
    for parent in found:
        for path in glob.glob("/proc/%d/task/*/children" % parent):
            with open(path) as children:
                found.extend(int(child) for child in children.read().split())
    return found


def cpu_of(processes):
    """With that of children which have ended: an sbatch is one of them."""
    ticks = 0
    for process in processes:
        try:
            with open("/proc/%d/stat" % process) as stat:
                ticks += sum(int(word) for word in stat.read().rpartition(")")[2].split()[11:15])
        except FileNotFoundError:
            pass
    return ticks / TICK


def records(working):
    for path in glob.glob(working + "/.descpipe/runs/*/journal.jsonl"):
        with open(path) as journal:
            for line in journal:
                if line.endswith("\n"):
                    yield json.loads(line)


def until(condition, process):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline or process.poll() is not None:
            sys.exit("what is measured ended, or took longer than %d s" % PATIENCE_S)
        time.sleep(0.05)


def pipeline(name, stages, scheduler):
    with open(name + ".yaml", "w") as text:
        text.write("pipeline: {name: %s, stages: [%s]}\n" % (name, ", ".join("s%d" % i for i in range(stages))))
        text.write("runtime: {working: %s, output: out, cache: off}\n" % name)
        text.write("backends: {default: {scheduler: {use: slurm, %s}, runtime: host}}\n" % scheduler)
        for i in range(stages):
            text.write("s%d: {command: [/bin/true]}\n" % i)


def ours(program, stages):
    """Wall of the act alone, CPU from the program's start until all are taken, submissions."""
    shutil.rmtree("held", ignore_errors=True)
    process = subprocess.Popen([program, "--quiet", "run", "held.yaml"], stdout=subprocess.DEVNULL)
    until(lambda: sum(record["kind"] == "submitted" for record in records("held")) == stages, process)
    cpu = cpu_of(family(process.pid))
    intents = [record["at"] for record in records("held") if record["kind"] == "intent"]
    taken = [record["at"] for record in records("held") if record["kind"] == "submitted"]
    serials = {record["submission"] for record in records("held") if record["kind"] == "intent"}
    run = os.path.basename(glob.glob("held/.descpipe/runs/*")[0])
    subprocess.run([program, "cancel", run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.wait(PATIENCE_S)
    return (max(taken) - min(intents)) / 1000, cpu, len(serials)


def cancel_all(): # a controller takes 10,000 jobs
    subprocess.run(["scancel", "--quiet", "--state=PENDING", "--user=root"])


def middle(values):
    return "%.2f [%.2f-%.2f]" % (statistics.median(values), min(values), max(values))


def submission(program, stages, rounds):
    pipeline("held", stages, "extra: [--hold]")
    array = ["sbatch", "--hold", "--quiet", "--output=/dev/null", "--array=0-%d" % (stages - 1), "--wrap=/bin/true"]
    single = ["sbatch", "--hold", "--quiet", "--output=/dev/null", "--wrap=/bin/true"]
    rows = []
    for _ in range(rounds + 1):
        plain_wall, plain_cpu = measured(array, ARRAYS)
        cancel_all()
        each_wall, each_cpu = measured(single, max(stages // 10, 1))
        act, cpu, count = ours(program, stages)
        cancel_all()
        rows.append((act / plain_wall, cpu / plain_cpu, act / (each_wall * stages), cpu / (each_cpu * stages), count, plain_wall, plain_cpu))
    rows = rows[1:] # the first asks for the limits
    print("%d stages ready together, %d rounds; submissions a run: %s" % (stages, rounds, max(row[4] for row in rows)))
    print("  from the intent until all are taken / one plain array, wall: %s (plain: %.1f ms)" %
          (middle([row[0] for row in rows]), 1000 * statistics.median(row[5] for row in rows)))
    print("  the same / an sbatch for each:  %.4f" % statistics.median(row[2] for row in rows))
    print("  all of the program until then / one plain array, CPU: %s (plain: %.1f ms)" %
          (middle([row[1] for row in rows]), 1000 * statistics.median(row[6] for row in rows)))
    print("  the same / an sbatch for each, CPU: %.4f" % statistics.median(row[3] for row in rows))


LOOP = "import os, time\nstart = time.monotonic()\nrunning = 0\nfor _ in range(%d):\n    if running == 2:\n        os.wait()\n        " \
       "running -= 1\n    os.posix_spawn('/bin/true', ['true'], {})\n    running += 1\nwhile running:\n    os.wait()\n    " \
       "running -= 1\nprint(time.monotonic() - start)\n"


def pilot(program, tasks, rounds):
    pipeline("piloted", tasks, "mode: pilot, minutes: 30, poll: 500ms")
    rows = []
    for _ in range(rounds):
        bare = float(subprocess.run(["srun", "--quiet", "--exclusive", "--cpus-per-task=2", "--mem=0", sys.executable, "-c", LOOP % tasks],
                                    check=True, capture_output=True, text=True).stdout)
        shutil.rmtree("piloted", ignore_errors=True)
        subprocess.run([program, "--quiet", "run", "piloted.yaml"], check=True, stdout=subprocess.DEVNULL)
        times = [record["at"] for record in records("piloted") if record["kind"] in ("running", "ended")]
        rows.append(((max(times) - min(times)) / 1000, bare))
    print("%d trivial stages in one allocation, %d rounds" % (tasks, rounds))
    print("  from the first start to the last end / a bare loop of posix_spawn there, wall: %s (bare: %.2f ms a task, ours %.0f a second)" %
          (middle([ours / bare for ours, bare in rows]), 1000 * statistics.median(bare for _, bare in rows) / tasks,
           tasks / statistics.median(ours for ours, _ in rows)))


def main():
    program, testbed = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    given = dict(re.fullmatch(r"--(\w+)=(\d+)", word).groups() for word in sys.argv[3:])
    stages, rounds, tasks = (int(given.get(key, usual)) for key, usual in (("stages", 1000), ("rounds", 5), ("tasks", 1000)))
    top = tempfile.mkdtemp(prefix="dps.", dir="/tmp")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        started = subprocess.run([testbed, "start", top + "/slurm", "MinJobAge=2", "MaxArraySize=%d" % (max(stages, 1000) + 1), "SlurmdTimeout=300"],
                                 stdout=subprocess.PIPE, text=True)
        if started.returncode != 0:
            return started.returncode
        os.environ["SLURM_CONF"] = top + "/slurm/slurm.conf"
        for name in ("CACHE", "STATE", "CONFIG"):
            os.environ["XDG_%s_HOME" % name] = top + "/" + name.lower()
        os.chdir(top)
        if stages > 0:
            submission(program, stages, rounds)
        if tasks > 0:
            pilot(program, tasks, rounds)
        return 0
    finally:
        os.chdir("/")
        subprocess.run([testbed, "stop", top + "/slurm"])
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
