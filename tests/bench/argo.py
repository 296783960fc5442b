#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What Argo costs us: argo.py PROGRAM [--stages=N,N] [--members=N] [--writes=N]

First the manifest of N stages that wait one for another: processor time, bytes, memory. Then a run of one stage with many members
against a scripted API server that tells each member's beginning and end (two updates a member, in the Workflow's packed nodes and of
its pod) as fast as it can: processor time, requests, and how long after the last update the run knew it.
"""
import base64
import ctypes
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kubernetes"))
WORDS = dict(word[2:].split("=") for word in sys.argv[2:])
import argo_api  # noqa: E402
import api  # noqa: E402
from argo_controller import fnv1a  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])


def used(process):
    """Waits for it and for all that it has left to us; output, processor time and the largest peak of memory."""
    output = process.stdout.read()
    processor, memory = 0, 0
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return output, processor, memory
        processor, memory = processor + usage.ru_utime + usage.ru_stime, max(memory, usage.ru_maxrss)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)


def manifest(folder, count):
    lines = ["pipeline: {name: big, stages: [%s]}" % ", ".join("s%d" % i for i in range(count)),
             "backends: {default: {scheduler: {use: argo}, runtime: docker, registry: oci}}"]
    lines += ["s%d: {image: r.example/i:1, command: [process, '%d']%s}" % (i, i, ", depends-on: [s%d]" % (i // 2) if i else "")
              for i in range(count)]
    with open(os.path.join(folder, "big.yaml"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    process = subprocess.Popen([PROGRAM, "export", "big.yaml", "--format", "argo", "--unpinned", "-q", "--output-file", "big.json"], cwd=folder,
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output, processor, memory = used(process)
    if process.returncode != 0:
        sys.exit("export ended with %d: %s" % (process.returncode, output))
    with open(os.path.join(folder, "big.json"), encoding="utf-8") as file:
        size = len(json.dumps(json.load(file), separators=(",", ":"), ensure_ascii=False).encode())
    print("manifest of %5d stages: %.2f s of processor, %7d bytes as sent, %.1f MiB of memory" % (count, processor, size, memory / 1024))


class Cluster(argo_api.Cluster):
    def walk(self, workflow):
        name, nodes = workflow["metadata"]["name"], {}
        task, = workflow["spec"]["templates"][-1]["dag"]["tasks"]
        labels = workflow["spec"]["podMetadata"]["labels"]
        count = int(task["withSequence"]["count"])
        step = max(1, 2 * count // int(WORDS.get("writes", 200)))

        def node(number, phase):
            node_name = "%s.%s(%d:%d)" % (name, task["name"], number, number)
            identity = "%s-%d" % (name, fnv1a(node_name))
            nodes[identity] = dict(id=identity, name=node_name, type="Pod", phase=phase, templateName=task["template"], startedAt=api.now())
            state = {"running": {"startedAt": api.now()}}
            if phase == "Succeeded":
                nodes[identity].update(finishedAt=api.now(), outputs={"exitCode": "0"})
                state = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": api.now()}}
            pod = "%s-%s-%d" % (name, task["template"], fnv1a(node_name))
            dict.__setitem__(self.logs, pod, b"x\n")
            with self.lock:
                self.put("pods", pod, {"kind": "Pod", "spec": {"nodeName": "node1"}, "metadata": {
                    "name": pod, "uid": pod, "labels": labels, "annotations": {"workflows.argoproj.io/node-name": node_name}},
                    "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}}, "MODIFIED")

        def write(phase):
            packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode(), 1)).decode()
            with self.lock:
                workflow["metadata"].setdefault("annotations", {})["workflows.argoproj.io/pod-name-format"] = "v2"
                workflow["status"] = {"phase": phase, "compressedNodes": packed}
                self.put("workflows", name, workflow, "MODIFIED")

        for phase in ("Running", "Succeeded"):
            for first in range(0, count, step):
                for number in range(first, min(first + step, count)):
                    node(number, phase)
                write("Running")
        self.told = time.monotonic()
        write("Succeeded")


class Server(argo_api.Server):
    cluster_class = Cluster


def updates(folder, members):
    server = Server()
    pipeline = """pipeline: {stages: [m]}
runtime: {working: work, output: out}
backends: {default: {scheduler: {use: argo, volume: {host-path: "%s"}}, runtime: docker, registry: {use: oci, plain-http: true}}}
m: {image: "%s/x:1", command: [x], parallel: embarrassing, size: %d}
""" % (folder, server.place, members)
    kubeconfig = """apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://%s"}}]
users: [{name: u, user: {token: x}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: work}}]
current-context: x
""" % server.place
    for name, text in (("m.yaml", pipeline), ("kubeconfig", kubeconfig)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    home = {"HOME": folder, "KUBECONFIG": os.path.join(folder, "kubeconfig"), "XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_CONFIG_HOME": folder}
    process = subprocess.Popen([PROGRAM, "run", "-q", "m.yaml"], cwd=folder, env={**os.environ, **home}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output, processor, memory = used(process)
    late = time.monotonic() - server.cluster.told
    asked = server.cluster.requests
    server.close()
    if process.returncode != 0:
        sys.exit("the run ended with %d: %s" % (process.returncode, output[-2000:]))
    logs = sum(1 for line in asked if "/log" in line)
    print("%6d node updates: %.2f s of processor (%.2f ms an update), %.1f s after the last of them, %d requests and %d for logs, %.1f MiB" % (
        2 * members, processor, 500 * processor / members, late,
        len([line for line in asked if "/log" not in line and " /v2/" not in line]), logs, memory / 1024))


def main():
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: the engine is no child of what we start
    with tempfile.TemporaryDirectory(prefix="descpipe-argo-bench-") as folder:
        for count in WORDS.get("stages", "1000,5000").split(","):
            manifest(folder, int(count))
        updates(folder, int(WORDS.get("members", 5000)))


main()
