#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A SLURM that misbehaves on demand: sbatch, squeue, sacct, scontrol, scancel and sinfo over one file of state.

    simulator.py make DIR [KEY=VALUE...]   makes DIR/bin with the commands; give that folder to the scheduler as `commands`
    simulator.py set DIR KEY=VALUE...      changes what happens from now on
    simulator.py counts DIR                prints what was asked, accepted and refused, as KEY=VALUE

How it works: every command locks the state, lets time pass up to now (jobs start, run their script with /bin/sh, end), answers
and unlocks. Chance comes from the seed and the number of the command alone, so the same commands see the same faults.

    seed=1                 of all chances
    queue-ms=0 run-ms=0    how long a job waits, and how long it is said to run
    shown-ms=0             a job whose script is over is still said to run so long
    forget-ms=300000       squeue and scontrol forget an ended job after this (MinJobAge)
    slots=0                members that run at a time; 0: all
    down=1                 the controller cannot be reached;  hang=1: every command waits for ever
    latency-ms=0           how long every command takes
    accounting=on          or off ("accounting storage is disabled")
    accounting-down=1      slurmdbd cannot be reached
    lag-ms=0               accounting hears of an end so much later
    no-field=NAME          sacct does not know this column
    truncate=1             sacct cuts states to ten characters
    collapse=1             waiting members are shown as one, -r or not
    cluster=NAME           jobs are only seen with -M NAME
    wrapper=banner         what a site's sbatch prints: banner, id, long
    accept-lost=N          percent of accepted jobs whose answer is lost ("Socket timed out")
    drop=N                 percent of requests that are lost before they are accepted
    unable=N               percent of requests that are "temporarily unable"
    submit-limit=N         more jobs than this in the queue are refused (MaxSubmitJobs)
    allowed-jobs=N allowed-minutes=N       limits of the user's account, enforced and told by sacctmgr (MaxSubmitJobs, MaxWall)
    array-size=1001        MaxArraySize; 0: no arrays
    bucket=40 refill=4 period-ms=60000     requests over this are refused and counted; published unless quiet-limit=1
    completing-ms=0        a requeued job is shown as COMPLETING so long, by every other squeue
    skew-s=0               the nodes' clock is so far ahead
    fate.INDEX=WORD        how the member ends whatever its script says: oom, oom-old, timeout, node-fail, preempted, boot-fail,
                           deadline, revoked, cancelled:UID, requeue, vanish, exit:N, signal:N
"""
import fcntl
import json
import os
import random
import re
import subprocess
import sys
import time

DEFAULTS = {
    "seed": 1, "queue-ms": 0, "run-ms": 0, "shown-ms": 0, "forget-ms": 300000, "slots": 0, "down": 0, "hang": 0, "latency-ms": 0,
    "accounting": "on", "accounting-down": 0, "lag-ms": 0, "no-field": "", "truncate": 0, "collapse": 0, "cluster": "",
    "wrapper": "", "accept-lost": 0, "drop": 0, "unable": 0, "submit-limit": 0, "allowed-jobs": "", "allowed-minutes": "", "array-size": 1001, "bucket": 0,
    "refill": 4, "period-ms": 60000, "quiet-limit": 0, "completing-ms": 0,
    "skew-s": 0,
}
COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo", "sacctmgr")
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY")


class Refused(Exception):
    """What a command says before it exits with 1."""


class Simulation:
    def __init__(self, folder):
        self.folder = folder
        self.lock = open(os.path.join(folder, "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        with open(os.path.join(folder, "state.json")) as file:
            self.state = json.load(file)
        self.state["commands"] += 1
        self.now = time.time()
        self.chance = random.Random("%s/%d" % (self["seed"], self.state["commands"]))

    def __getitem__(self, key):
        return self.state["knobs"].get(key, DEFAULTS.get(key))

    def save(self):
        path = os.path.join(self.folder, "state.json")
        with open(path + ".new", "w") as file:
            json.dump(self.state, file)
        os.rename(path + ".new", path)
        self.lock.close()

    def count(self, what, by=1):
        self.state["counts"][what] = self.state["counts"].get(what, 0) + by

    def happens(self, key):
        return self.chance.random() * 100 < float(self[key])

    # The controller's side of every request.
    def request(self, cost=1):
        self.count("requests", cost)
        if int(self["bucket"]):
            bucket = self.state["bucket"]
            passed = (self.now - bucket["at"]) * 1000
            tokens = min(float(self["bucket"]), bucket["tokens"] + passed * float(self["refill"]) / float(self["period-ms"]))
            bucket["at"] = self.now
            bucket["tokens"] = tokens - cost if tokens >= cost else tokens
            if tokens < cost:
                self.count("refused")
                raise Refused("slurm_receive_msgs: RPC rate limit exceeded, please back off")
        if int(self["down"]):
            raise Refused("Unable to contact slurm controller (connect failure)")

    # Time passes.
    def pass_time(self):
        running = sum(job["state"] == "RUNNING" for job in self.state["jobs"])
        for job in list(self.state["jobs"]):
            if job["state"] == "PENDING" and self.may_start(job):
                if int(self["slots"]) and running >= int(self["slots"]):
                    job["reason"] = "Resources"
                    continue
                self.start(job)
                running += 1
            if job["state"] == "RUNNING" and self.now >= job["started"] + float(self["run-ms"]) / 1000:
                if float(self["shown-ms"]) and "result" not in job:
                    job["result"] = self.run_script(job)
                if self.now >= job["started"] + (float(self["run-ms"]) + float(self["shown-ms"])) / 1000:
                    self.end(job)
                    running -= 1

    def may_start(self, job):
        for kind, array, index in job["after"]:
            others = [one for one in self.state["jobs"]
                      if one["array"] == array and (index is None or one["index"] == index)]
            if any(one["state"] not in ENDED for one in others):
                job["reason"] = "Dependency"
                return False
            if kind == "afterok" and any(one["state"] != "COMPLETED" for one in others):
                job.update(state="CANCELLED", reason="DependencyNeverSatisfied", ended=self.now)
                return False
        return self.now >= job["eligible"]

    def start(self, job):
        job.update(state="RUNNING", reason="None", started=self.now, nodes="sim%d" % (job["raw"] % 4 + 1))

    def run_script(self, job):
        environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "SLURM_JOB_ID": str(job["raw"]),
                       "SLURMD_NODENAME": job["nodes"], "SLURM_CPUS_PER_TASK": "1",
                       "SLURM_RESTART_COUNT": str(job["restarts"])}
        if job["index"] is not None:
            environment["SLURM_ARRAY_TASK_ID"] = str(job["index"])
        try:
            with open(os.path.join(job["folder"], job["log"]), "a") as log:
                done = subprocess.run(["/bin/sh", job["script"]] + job["arguments"], env=environment, cwd=job["folder"],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        except OSError:
            return 0, 53
        return (done.returncode, 0) if done.returncode >= 0 else (0, -done.returncode)

    def say(self, job, words):
        with open(os.path.join(job["folder"], job["log"]), "a") as log:
            log.write("slurmstepd-%s: error: %s\n" % (job["nodes"], words % {"job": job["raw"], "node": job["nodes"]}))

    def end(self, job):
        fate = self.state["knobs"].get("fate.%s" % job["index"], "")
        word, _, number = fate.partition(":")
        if word in ("", "requeue"):
            code, signal = job.pop("result", None) or self.run_script(job)
        else:
            code, signal = 0, 0
        job["ended"] = self.now
        self.count("ran")
        plain = {"timeout": ("TIMEOUT", "TimeLimit"), "node-fail": ("NODE_FAIL", "NodeDown"),
                 "preempted": ("PREEMPTED", "None"), "boot-fail": ("BOOT_FAIL", "None"), "deadline": ("DEADLINE", "None"),
                 "revoked": ("REVOKED", "None")}
        if word == "requeue" and job["restarts"] == 0:
            self.state["past"].append(dict(job, state="REQUEUED"))
            job.update(state="PENDING", reason="BeginTime", submitted=self.now, restarts=1, nodes="", started=0, ended=0,
                       eligible=self.now + float(self["queue-ms"]) / 1000)
            return
        if word in plain:
            state, reason = plain[word]
            if word == "timeout":
                self.say(job, "*** JOB %(job)d ON %(node)s CANCELLED AT 2026-11-21T00:58:12 DUE TO TIME LIMIT ***")
        elif word == "cancelled":
            state, reason = "CANCELLED", "None"
            job["by"] = int(number)
        elif word == "oom":
            state, reason, signal = "OUT_OF_MEMORY", "OutOfMemory", 125
            self.say(job, "Detected 1 oom_kill event in StepId=%(job)d.batch. Some of the step tasks have been OOM Killed.")
        elif word == "oom-old":
            state, reason, signal = "FAILED", "JobLaunchFailure", 9
            self.say(job, "StepId=%(job)d.batch exceeded memory limit (434626560 > 52428800), being killed")
        elif word == "vanish":
            self.state["jobs"].remove(job)
            return
        else:
            code = int(number) if word == "exit" else code
            signal = int(number) if word == "signal" else signal
            state = "COMPLETED" if code == 0 and signal == 0 else "FAILED"
            reason = "None" if state == "COMPLETED" else "NonZeroExitCode" if code else "JobLaunchFailure"
        job.update(state=state, reason=reason, code=code, signal=signal)

    def remembered(self):
        return [job for job in self.state["jobs"]
                if job["state"] not in ENDED or self.now < job["ended"] + float(self["forget-ms"]) / 1000]

    def moment(self, seconds):
        if not seconds:
            return "N/A"
        seconds += float(self["skew-s"])
        if os.environ.get("SLURM_TIME_FORMAT") == "%s":
            return str(int(seconds))
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))

    def sees(self, options):
        asked = options.get("clusters", "")
        return not self["cluster"] or self["cluster"] in asked.split(",") or asked == "all"


def parse(arguments, short):
    """Long options with = or alone, short ones with their value behind them; the rest."""
    options, rest = {}, []
    words = iter(arguments)
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        elif word.startswith("-") and len(word) > 1:
            name, takes = short.get(word[1], (word[1], False))
            options[name] = (word[2:] or next(words, "")) if takes else ""
        else:
            rest.append(word)
            if short.get("stop"):
                rest.extend(words)
    return options, rest


def read_indices(text, limit):
    indices = []
    for part in text.partition("%")[0].split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if not found:
            raise Refused("Batch job submission failed: Invalid job array specification")
        first, last = int(found[1]), int(found[2] or found[1])
        indices.extend(range(first, last + 1, int(found[3] or 1)))
    if not limit or max(indices) >= limit:
        raise Refused("Batch job submission failed: Invalid job array specification")
    return indices


def read_after(text):
    after = []
    for clause in filter(None, text.split(",")):
        kind, *ids = clause.split(":")
        for one in ids:
            array, _, index = one.partition("_")
            after.append([kind, int(array), int(index) if index else None])
    return after


def sbatch(simulation, arguments):
    options, rest = parse(arguments, {"stop": True, "M": ("clusters", True)})
    simulation.request()
    if "test-only" in options:
        sys.stderr.write("sbatch: Job 0 to start at %s using 1 processors on nodes sim1 in partition debug\n" %
                         simulation.moment(simulation.now + 3600))
        return 0
    if simulation.happens("drop"):
        raise Refused("Batch job submission failed: Socket timed out on send/recv operation")
    if simulation.happens("unable"):
        sys.stderr.write("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying.\n")
        raise Refused("Batch job submission failed: Resource temporarily unavailable")
    if options.get("partition", "debug") != "debug":
        sys.stderr.write("sbatch: error: invalid partition specified: %s\n" % options["partition"])
        raise Refused("Batch job submission failed: Invalid partition name specified")
    indices = read_indices(options["array"], int(simulation["array-size"])) if "array" in options else [None]
    queued = sum(job["state"] not in ENDED for job in simulation.state["jobs"])
    limit = int(simulation["submit-limit"] or simulation["allowed-jobs"] or 0)
    if limit and queued + len(indices) > limit:
        sys.stderr.write("sbatch: error: QOSMaxSubmitJobPerUserLimit\n")
        raise Refused("Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or "
                      "time limits)")
    array = simulation.state["next"]
    simulation.state["next"] += len(indices)
    script = os.path.join(simulation.folder, "spool-%d" % array)
    with open(rest[0], "rb") as given, open(script, "wb") as copy:
        copy.write(given.read())
    for position, index in enumerate(indices):
        simulation.state["jobs"].append({
            "array": array, "index": index, "raw": array + (position + 1) % len(indices), "name": options.get("job-name", rest[0]),
            "state": "PENDING", "reason": "None", "submitted": simulation.now, "started": 0, "ended": 0, "nodes": "",
            "eligible": simulation.now + float(simulation["queue-ms"]) / 1000, "restarts": 0, "by": -1, "code": 0, "signal": 0,
            "script": script, "arguments": rest[1:], "folder": options.get("chdir", "/"), "log": options.get("output", "/dev/null"),
            "after": read_after(options.get("dependency", "")), "memory": options.get("mem", "")})
    simulation.count("accepted")
    simulation.count("accepted-jobs", len(indices))
    if simulation.happens("accept-lost"):
        raise Refused("Batch job submission failed: Socket timed out on send/recv operation")
    answer = "%d;%s" % (array, simulation["cluster"]) if simulation["cluster"] else "%d" % array
    print({"banner": "Welcome to the machine!\nYou have 12 hours left.\n%s\nHave a nice day." % answer,
           "long": "Submitted batch job %d" % array}.get(simulation["wrapper"], answer))
    return 0


def write_ranges(indices):
    parts, start = [], None
    for index in indices + [None]:
        if start is not None and index == last + 1:
            last = index
            continue
        if start is not None:
            parts.append(str(start) if start == last else "%d-%d" % (start, last))
        start = last = index
    return ",".join(parts)


def collapse(jobs):
    """Waiting members of an array as one row, as squeue shows them without -r."""
    rows, arrays = [], {}
    for job in jobs:
        if job["state"] == "PENDING" and job["index"] is not None:
            if job["array"] not in arrays:
                arrays[job["array"]] = dict(job, indices=[])
                rows.append(arrays[job["array"]])
            arrays[job["array"]]["indices"].append(job["index"])
        else:
            rows.append(job)
    for row in arrays.values():
        row["index"] = "[%s]" % write_ranges(sorted(row["indices"]))
    return rows


def squeue(simulation, arguments):
    options, _ = parse(arguments, {"h": ("noheader", False), "r": ("array", False), "t": ("states", True), "u": ("user", True),
                                   "n": ("name", True), "j": ("jobs", True), "o": ("format", True), "M": ("clusters", True)})
    simulation.request(2)
    jobs = simulation.remembered() if simulation.sees(options) else []
    if "jobs" in options:
        wanted = {int(one.partition("_")[0]) for one in options["jobs"].split(",")}
        jobs = [job for job in jobs if job["array"] in wanted]
        if not jobs and len(wanted) == 1:
            sys.stderr.write("slurm_load_jobs error: Invalid job id specified\n")
            return 1
    if "name" in options:
        jobs = [job for job in jobs if job["name"] in options["name"].split(",")]
    if options.get("states") != "all":
        jobs = [job for job in jobs if job["state"] in options.get("states", "PENDING,RUNNING").split(",")]
    if "array" not in options or int(simulation["collapse"]):
        jobs = collapse(jobs)
    if options.get("clusters") and simulation["cluster"]:
        print("CLUSTER: %s" % simulation["cluster"])
    for job in jobs:
        index = "N/A" if job["index"] is None else str(job["index"])
        clearing = job["restarts"] and simulation.now < job["submitted"] + float(simulation["completing-ms"]) / 1000
        state = "COMPLETING" if clearing and simulation.state["commands"] % 2 else job["state"]
        values = {"F": job["array"], "K": index, "A": job["raw"], "T": state, "r": job["reason"],
                  "S": simulation.moment(job["started"]), "e": simulation.moment(job["ended"]), "N": job["nodes"],
                  "j": job["name"], "P": "debug", "i": job["array"] if job["index"] is None else "%d_%s" % (job["array"], index)}
        print(re.sub(r"%([A-Za-z])", lambda found: str(values.get(found[1], "")), options.get("format", "%i %T %j")))
    return 0


def account(simulation, job, step):
    identity = job["array"] if job["index"] is None else "%d_%d" % (job["array"], job["index"])
    state = job["state"]
    if state == "CANCELLED" and job["by"] >= 0:
        state += " by %d" % job["by"]
    if step:
        state = {"TIMEOUT": "CANCELLED", "NODE_FAIL": "CANCELLED", "REQUEUED": "CANCELLED"}.get(job["state"], job["state"])
    if int(simulation["truncate"]) and len(state) > 10:
        state = state[:9] + "+"
    nothing = "Unknown" if job["state"] == "RUNNING" else "None"
    return {"JobID": "%s%s" % (identity, step), "JobIDRaw": "%d%s" % (job["raw"], step), "State": state,
            "ExitCode": "%d:%d" % (job["code"], 0 if job["state"] in ("TIMEOUT", "CANCELLED") else job["signal"]),
            "Submit": simulation.moment(job["submitted"]),
            "Start": simulation.moment(job["started"]) if job["started"] else nothing,
            "End": simulation.moment(job["ended"]) if job["ended"] else nothing, "NodeList": job["nodes"] or "None assigned",
            "ReqMem": "" if step else job["memory"], "MaxRSS": "424440K" if step and job["signal"] in (9, 125) else "",
            "TotalCPU": "00:00.005", "Reason": "" if step else job["reason"].replace("DependencyNeverSatisfied", "Dependency"),
            "JobName": "batch" if step else job["name"]}


def sacct(simulation, arguments):
    options, _ = parse(arguments, {"n": ("noheader", False), "P": ("parsable2", False), "D": ("duplicates", False),
                                   "X": ("allocations", False), "j": ("jobs", True), "o": ("format", True),
                                   "S": ("starttime", True), "u": ("user", True), "M": ("clusters", True)})
    simulation.count("accounting-requests")
    if simulation["accounting"] == "off":
        sys.stderr.write("Slurm accounting storage is disabled\n")
        return 1
    if int(simulation["accounting-down"]):
        raise Refused("Problem talking to the database: Connection refused")
    fields = options["format"].split(",")
    if simulation["no-field"] in fields:
        sys.stderr.write("sacct: fatal: Invalid field requested: \"%s\"\n" % simulation["no-field"])
        return 1
    if len(options.get("jobs", "").split(",")) > 1000:
        raise Refused("too many ids")
    wanted = options["jobs"].split(",") if "jobs" in options else None
    jobs = list(simulation.state["past"]) if "duplicates" in options else []
    for job in simulation.state["jobs"] if simulation.sees(options) else []:
        lags = job["state"] in ENDED and simulation.now < job["ended"] + float(simulation["lag-ms"]) / 1000
        jobs.append(dict(job, state="RUNNING", ended=0, code=0, signal=0) if lags else job)
    for job in jobs:
        identity = "%d" % job["array"] if job["index"] is None else "%d_%d" % (job["array"], job["index"])
        if wanted is not None and identity not in wanted and str(job["array"]) not in wanted:
            continue
        if "starttime" not in options and job["submitted"] < simulation.now - simulation.now % 86400:
            continue
        steps = [""] if "allocations" in options or not job["started"] else ["", ".batch"]
        for step in steps:
            row = account(simulation, job, step)
            print("|".join(str(row.get(field, "")) for field in fields))
    return 0


def scontrol(simulation, arguments):
    options, rest = parse(arguments, {"o": ("oneliner", False), "M": ("clusters", True)})
    simulation.request()
    if rest[:2] == ["show", "config"]:
        limits = ""
        limited = simulation["allowed-jobs"] or simulation["allowed-minutes"]
        if int(simulation["bucket"]) and not int(simulation["quiet-limit"]):
            limits = "rl_enable,rl_bucket_size=%s,rl_refill_rate=%s,rl_refill_period=%d" % (
                simulation["bucket"], simulation["refill"], max(1, int(simulation["period-ms"]) // 1000))
        print("SLURM_VERSION           = 22.05.8\nClusterName             = sim\nSlurmctldHost[0]        = sim(127.0.0.1)\n"
              "AccountingStorageType   = accounting_storage/slurmdbd\nAccountingStorageEnforce = %s\nMaxArraySize            = %s\n"
              "MaxJobCount             = 10000\nMinJobAge               = %d sec\nSlurmctldParameters     = %s" %
              ("associations,limits" if limited else "none", simulation["array-size"], int(simulation["forget-ms"]) // 1000, limits or "(null)"))
        return 0
    if rest[:2] == ["show", "partition"]:
        print("PartitionName=debug Default=YES MaxTime=1-00:00:00 MaxNodes=UNLIMITED TotalNodes=4 State=UP")
        return 0
    if rest[:2] == ["show", "job"]:
        jobs = [job for job in simulation.remembered() if str(job["array"]) == rest[2].partition("_")[0]]
        if not jobs or not simulation.sees(options):
            sys.stderr.write("slurm_load_jobs error: Invalid job id specified\n")
            return 1
        for job in jobs:
            member = "" if job["index"] is None else "ArrayJobId=%d ArrayTaskId=%d " % (job["array"], job["index"])
            print("JobId=%d %sJobName=%s JobState=%s Reason=%s Restarts=%d ExitCode=%d:%d SubmitTime=%s StartTime=%s EndTime=%s "
                  "NodeList=%s" % (job["raw"], member, job["name"], job["state"], job["reason"], job["restarts"], job["code"],
                                   job["signal"], simulation.moment(job["submitted"]), simulation.moment(job["started"]),
                                   simulation.moment(job["ended"]), job["nodes"] or "(null)"))
        return 0
    raise Refused("invalid entity")


def scancel(simulation, arguments):
    options, rest = parse(arguments, {"M": ("clusters", True), "Q": ("quiet", False)})
    simulation.request(len(rest))
    status = 0
    for one in rest:
        array, _, index = one.partition("_")
        jobs = [job for job in simulation.remembered()
                if str(job["array"]) == array and index in ("", str(job["index"])) and simulation.sees(options)]
        alive = [job for job in jobs if job["state"] not in ENDED]
        if not alive:
            words = "Job/step already completing or completed" if jobs else "Invalid job id specified"
            sys.stderr.write("scancel: error: Kill job error on job id %s: %s\n" % (one, words))
            status = 1
        for job in alive:
            job.update(state="CANCELLED", reason="None", ended=simulation.now, by=os.getuid())
    return status


def sacctmgr(simulation, arguments):
    simulation.count("accounting-requests")
    if "user" in arguments:
        print("sim|sim|||normal|%s|%s" % (simulation["allowed-jobs"], simulation["allowed-minutes"]))
    elif "qos" in arguments:
        print("normal|||")
    return 0


def sinfo(simulation, arguments):
    del arguments
    simulation.request()
    print("debug up 1-00:00:00 4 idle sim[1-4]")
    return 0


def run_command(folder, name, arguments):
    simulation = Simulation(folder)
    hang = int(simulation["hang"])
    latency = float(simulation["latency-ms"]) / 1000
    status = 1
    try:
        simulation.pass_time()
        simulation.count(name)
        status = globals()[name](simulation, arguments) if not hang else 1
    except Refused as refused:
        sys.stderr.write("%s: error: %s\n" % (name, refused))
    finally:
        simulation.save()
    if hang or latency:
        time.sleep(3600 if hang else latency)
    return status


def make(folder):
    here = os.path.abspath(__file__)
    os.makedirs(os.path.join(folder, "bin"))
    for name in COMMANDS:
        path = os.path.join(folder, "bin", name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\nexec '%s' -I -S '%s' in '%s' %s \"$@\"\n" % (sys.executable, here, os.path.abspath(folder), name))
        os.chmod(path, 0o755)
    with open(os.path.join(folder, "state.json"), "w") as file:
        json.dump({"knobs": {}, "jobs": [], "past": [], "next": 1000, "commands": 0, "counts": {},
                   "bucket": {"tokens": 1e9, "at": 0}}, file)


def turn(folder, settings):
    simulation = Simulation(folder)
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in DEFAULTS and not key.startswith("fate."):
            sys.exit("simulator: there is no '%s'" % key)
        simulation.state["knobs"][key] = value
    simulation.save()


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("make", "set", "counts", "in"):
        sys.exit(__doc__)
    action, folder, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if action == "in":
        sys.exit(run_command(folder, rest[0], rest[1:]))
    if action == "make":
        make(folder)
    if action == "counts":
        for key, value in sorted(Simulation(folder).state["counts"].items()):
            print("%s=%d" % (key, value))
    else:
        turn(folder, rest)


main()
