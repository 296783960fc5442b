# SPDX-License-Identifier: BSD-3-Clause
"""Runs of one stage, one after the other, of which every so many is killed at a moment of chance: then no container, no mount, no
process and no temporary file may be left, and the next run must start and end as ever.

    leaks.py RUNTIME PROGRAM IMAGE [--runs=N] [--every=N] [--seed=N]

How it works: this process is the reaper of all that a run leaves, so a process that outlives its run is a child of ours. Victims
take turns: the front by Ctrl-C, then the front, the keeper, the engine and all three by SIGKILL; after a SIGKILL a person would type
`descpipe cancel`, and so does this.
"""
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time

VICTIMS = ("interrupt", "front", "keeper", "engine", "all")
END_S = 120  # for what must end by itself; nothing is measured by it
runtime, program, image = sys.argv[1:4]
options = dict(word[2:].split("=", 1) for word in sys.argv[4:])
runs, every, seed = (int(options.get(name, fallback)) for name, fallback in (("runs", 1000), ("every", 10), ("seed", 1)))
chance = random.Random(seed)
PIPELINE = """pipeline: {name: leaks, stages: [a]}
backends: {default: {scheduler: local, runtime: %s}}
runtime: {working: work, output: out}
a: {image: "%s", outputs: {x: txt}, command: [sh, -c, "echo begin >$DESC_OUTPUT/x.txt; sleep 0.1; echo end >>$DESC_OUTPUT/x.txt"]}
""" % (runtime, image)


def fail(words):
    sys.exit("leaks (%s, seed %d): %s" % (runtime, seed, words))


def call(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, stdin=subprocess.DEVNULL)


def children(process):
    try:
        with open("/proc/%d/task/%d/children" % (process, process)) as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def reap():
    """What has ended among the processes that came to us."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def command_line(process):
    try:
        with open("/proc/%d/cmdline" % process, "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def wait_until_alone(what):
    deadline = time.monotonic() + END_S
    while True:
        reap()
        # Podman keeps one process for a user's namespace, and means to.
        left = [command for command in map(command_line, children(os.getpid())) if command and not command.startswith("catatonit -P")]
        if not left:
            return
        if time.monotonic() > deadline:
            fail("%s: these run on: %s" % (what, "; ".join(left)))
        time.sleep(0.01)


def containers():
    if runtime == "docker":
        host = os.environ["DOCKER_HOST"][len("unix://"):]
        said = call("curl", "-sf", "--unix-socket", host, "http://localhost/containers/json?all=1")
        return sorted(entry["Id"] for entry in json.loads(said.stdout))
    return sorted(call("podman", "ps", "--all", "--quiet").stdout.split()) if runtime == "podman" else []


def mounts():
    """Those below the test's own folder: others may be at work on this machine."""
    top = os.path.dirname(os.environ["TMPDIR"]) + "/"
    with open("/proc/self/mountinfo") as file:
        return sorted(path for path in (line.split()[4] for line in file) if path.startswith(top))


def files():
    """Names that may be temporary: all of TMPDIR and of the runtime folder, those of ours anywhere below the cache and the work."""
    found = []
    for top in (os.environ["TMPDIR"], os.environ["XDG_RUNTIME_DIR"]):
        for folder, folders, names in os.walk(top):
            if "containers" in folders or "libpod" in folders:  # Podman's own, which it keeps
                folders[:] = [name for name in folders if name not in ("containers", "libpod", "netns", "runc", "crun")]
            found += [os.path.join(folder, name) for name in names + folders]
    for top in (os.environ["XDG_CACHE_HOME"], "work", "out"):
        for folder, folders, names in os.walk(top):
            # A run that was killed before its journal began is a folder that nobody lists, with a lease half made.
            if os.path.basename(os.path.dirname(folder)) == "runs" and "journal.jsonl" not in names:
                continue
            inside = os.path.basename(folder) == "temporary"
            found += [os.path.join(folder, name) for name in names + folders if inside or name.endswith(".tmp")]
    return sorted(name for name in found if os.path.basename(name) not in ("locks", "lock"))


def start():
    return subprocess.Popen([program, "run", "--no-cache", "pipeline.yaml"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def run_whole(number):
    said = call(program, "run", "--no-cache", "pipeline.yaml")
    if said.returncode != 0:
        fail("run %d ended with %d:\n%s" % (number, said.returncode, said.stdout))
    with open("out/x.txt") as file:
        if file.read() != "begin\nend\n":
            fail("run %d published half a file" % number)


def kill(victim, process):
    """The front is ours; the keeper is its child, the engine the keeper's."""
    keeper = (children(process.pid) or [None])[0]
    engine = (children(keeper) or [None])[0] if keeper else None
    if victim == "interrupt":
        process.send_signal(signal.SIGINT)
        return
    for name, target in (("front", process.pid), ("keeper", keeper), ("engine", engine)):
        if target and victim in (name, "all"):
            try:
                os.kill(target, signal.SIGKILL)
            except ProcessLookupError:
                pass


def run_killed(number, victim, usual_s):
    process = start()
    time.sleep(chance.uniform(0, usual_s))  # the moment of chance; nothing waits for it
    kill(victim, process)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        fail("run %d: the front went on after its %s was killed" % (number, victim))
    # 0: ended; 2: it had ended already, or never began; 6: still ending. A person looks again.
    deadline = time.monotonic() + END_S
    while os.path.isdir("work"):
        said = call(program, "cancel", "work")
        if said.returncode in (0, 2):
            break
        if time.monotonic() > deadline:
            fail("run %d (%s): cancel ends with %d:\n%s" % (number, victim, said.returncode, said.stdout))
    wait_until_alone("after run %d, whose %s was killed" % (number, victim))
    return said.returncode if os.path.isdir("work") else 2


def main():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    with open("pipeline.yaml", "w") as file:
        file.write(PIPELINE)
    begun = time.monotonic()
    run_whole(0)  # pulls, converts, makes what lasts
    begun = time.monotonic()
    run_whole(0)
    usual_s = time.monotonic() - begun
    wait_until_alone("after a whole run")
    before = {"container": containers(), "mount": mounts(), "temporary file": files()}
    cancelled = {victim: 0 for victim in VICTIMS}
    killed = 0
    for number in range(1, runs + 1):
        if number % every:
            run_whole(number)
            continue
        victim = VICTIMS[killed % len(VICTIMS)]
        killed += 1
        cancelled[victim] += run_killed(number, victim, usual_s) == 0
        left = [name for name in containers() if name not in before["container"]]
        if left:
            fail("after run %d, whose %s was killed, containers are left: %s\n%s" % (
                number, victim, " ".join(left), call(program, "status", "work").stdout))
        if number % 100 == 0:
            print("%d runs" % number, flush=True)
    run_whole(runs)  # whose leases clear away what takers of earlier ones could not
    wait_until_alone("at the end")
    # An Engine clears away behind its answers: what is left for good is a leak.
    deadline = time.monotonic() + END_S
    while True:
        after = {"container": containers(), "mount": mounts(), "temporary file": files()}
        left = {what: [name for name in after[what] if name not in before[what]] for what in before}
        if not any(left.values()):
            break
        if time.monotonic() > deadline:
            print(call("sh", "-c", "ls -la work/.descpipe; ls -la $(dirname \"$0\")", (left["temporary file"] or ["."])[0]).stdout)
            fail("; ".join("%d of kind %s are left behind, such as %s" % (len(names), what, ", ".join(names[:5]))
                           for what, names in left.items() if names))
        time.sleep(0.2)
    print("passed: %d runs in %s, %d killed (%s; cancel found something to end in %s), nothing is left" % (
        runs, runtime, killed, "seed %d" % seed, ", ".join("%s %d" % item for item in cancelled.items())))


main()
