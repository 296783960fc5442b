# SPDX-License-Identifier: BSD-3-Clause
"""A small Argo Server of the tests: Workflows by its own paths, walked one task after the other.

A task's fate is the first word of its command, as in api.py. Logs are given by the name that Argo gives a pod.
"""
import json
import re
import threading
import time
import urllib.parse

import api
from argo_controller import fnv1a, item_text, items_of, parameters_of, substituted

POD_NAMES = "workflows.argoproj.io/pod-name-format"


class Cluster(api.Cluster):
    backwards = False  # of a loop the last item goes first
    pod_names = "v2"  # None: a controller that says nothing of it, and calls pods like their nodes

    def created(self, plural, item):
        threading.Thread(target=self.walk, args=(item,), daemon=True).start()

    def show_node(self, workflow, name, phase, kind="Pod", **more):
        """Argo writes the whole status each time."""
        with self.lock:
            status = workflow["status"]
            node = status["nodes"].setdefault(name, {"id": "%s-%d" % (workflow["metadata"]["name"], fnv1a(name)), "name": name, "type": kind})
            node.update(phase=phase, **more)
            if phase == "Running":
                node["startedAt"] = api.now()
            if phase in ("Succeeded", "Failed", "Error"):
                node["finishedAt"] = api.now()
            self.put("workflows", workflow["metadata"]["name"], workflow, "MODIFIED")
            return node

    def pod(self, workflow, node):
        if self.pod_names is None:
            return node["id"]
        return "%s-%s-%d" % (workflow["metadata"]["name"], node["templateName"], fnv1a(node["name"]))

    def walk(self, workflow):
        metadata, spec = workflow["metadata"], workflow["spec"]
        with self.lock:
            while self.hold_pods and not self.closing:
                self.lock.wait(0.1)
            if self.closing:
                return
            workflow["status"] = {"phase": "Running", "nodes": {}, "startedAt": api.now()}
            if self.pod_names:
                metadata.setdefault("annotations", {})[POD_NAMES] = self.pod_names
        templates = {template["name"]: template for template in spec["templates"]}
        done = {}
        for task in templates[spec["entrypoint"]]["dag"]["tasks"]:
            name = "%s.%s" % (metadata["name"], task["name"])
            if not all(done[other] for other in task.get("depends", "").split(" && ") if other):
                self.show_node(workflow, name, "Omitted", message="omitted: depends condition not met")
                done[task["name"]] = False
                continue
            done[task["name"]] = self.items(workflow, name, task, templates[task["template"]])
        with self.lock:
            workflow["status"].update(phase="Succeeded" if all(done.values()) else "Failed", finishedAt=api.now())
            self.put("workflows", metadata["name"], workflow, "MODIFIED")

    def items(self, workflow, name, task, template):
        items = items_of(task)
        if items is None:
            return self.attempts(workflow, name, substituted(template, parameters_of(task, {})))
        self.show_node(workflow, name, "Running", "TaskGroup")
        done = []
        for number, item in sorted(enumerate(items), key=lambda pair: pair[0], reverse=self.backwards):
            names = {"item": item, **({"item." + key: value for key, value in item.items()} if isinstance(item, dict) else {})}
            done.append(self.attempts(workflow, "%s(%d:%s)" % (name, number, item_text(item)), substituted(template, parameters_of(task, names))))
        self.show_node(workflow, name, "Succeeded" if all(done) else "Failed", "TaskGroup")
        return all(done)

    def attempts(self, workflow, name, template):
        if "retryStrategy" not in template:
            return self.attempt(workflow, name, template, 0)
        self.show_node(workflow, name, "Running", "Retry")
        for number in range(int(template["retryStrategy"]["limit"]) + 1):
            if self.attempt(workflow, "%s(%d)" % (name, number), template, number):
                self.show_node(workflow, name, "Succeeded", "Retry")
                return True
        self.show_node(workflow, name, "Failed", "Retry", message="No more retries left")
        return False

    def attempt(self, workflow, name, template, number):
        fate, *rest = template["container"]["command"]
        node = self.show_node(workflow, name, "Pending", templateName=template["name"])
        if fate == "noimage":
            self.show_node(workflow, name, "Pending", message="ImagePullBackOff: Back-off pulling image")
            self.stopped(workflow)
            self.show_node(workflow, name, "Failed", message="workflow shutdown with strategy:  Stop")
            return False
        self.show_node(workflow, name, "Running")
        with self.lock:
            self.logs[self.pod(workflow, node)] = rest
        if fate == "stay":
            self.stopped(workflow)
            self.show_node(workflow, name, "Failed", message="workflow shutdown with strategy:  Stop")
            return False
        code = int(rest[0]) if fate == "exit" or (fate == "flaky" and number == 0) else 0
        self.show_node(workflow, name, "Failed" if code else "Succeeded", outputs={"exitCode": str(code)},
                       **({"message": "Error (exit code %d)" % code} if code else {}))
        return code == 0

    def stopped(self, workflow):
        while not self.closing:
            with self.lock:
                if workflow["spec"].get("shutdown"):
                    return
            time.sleep(0.02)


class Handler(api.Handler):
    def refuse(self, status, reason, message, headers=()):
        self.answer(status, {"code": {401: 16, 403: 7, 404: 5, 409: 6}.get(status, 13), "message": message, "details": []}, headers)

    def chunk(self, data):
        """Each line of a stream is wrapped."""
        if data.endswith(b"\n"):
            data = b'{"result":%s}\n' % data.rstrip(b"\n")
        super().chunk(data)

    def handle_any(self):
        cluster, url = self.cluster, urllib.parse.urlsplit(self.path)
        match = re.fullmatch(r"/api/v1/(workflows|workflow-events)/work(?:/([^/]+))?(?:/(log|stop|terminate))?", url.path)
        if not match:
            super().handle_any()
            return
        query = {key.replace("listOptions.", "").replace("logOptions.", ""): value for key, value in urllib.parse.parse_qsl(url.query)}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        with cluster.lock:
            cluster.requests.append("%s %s" % (self.command, self.path))
        fault = cluster.fault(self.command, self.path)
        if self.meets_fault(fault):
            return
        if self.headers.get("Authorization") != "Bearer " + cluster.token:
            self.refuse(401, "", "token not valid for running mode")
        elif match.group(1) == "workflow-events":
            self.watch("workflows", query, fault)
        elif match.group(3) == "log":
            self.entries(query)
        elif match.group(3):
            self.shut_down(match.group(2), match.group(3).capitalize())
        elif self.command == "POST":
            self.create("workflows", body["workflow"], fault)
        else:
            self.look(match.group(2), query)

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = handle_any

    def look(self, name, query):
        with self.cluster.lock:
            item = self.cluster.objects.get(("workflows", name))
            items = [one for key, one in self.cluster.objects.items() if key[0] == "workflows" and self.selects(query, one)]
            metadata = {"resourceVersion": str(self.cluster.version)}
            body = json.dumps(item if name else {"metadata": metadata, "items": items or None}).encode()  # as Go writes no items
        if name and not item:
            self.refuse(404, "", 'workflows.argoproj.io "%s" not found' % name)
        else:
            self.answer(200, body)

    def shut_down(self, name, how):
        with self.cluster.lock:
            item = self.cluster.objects.get(("workflows", name))
            if item:
                item["spec"]["shutdown"] = how
                self.cluster.put("workflows", name, item, "MODIFIED")
        if item:
            self.answer(200, item)
        else:
            self.refuse(404, "", 'workflows.argoproj.io "%s" not found' % name)

    def entries(self, query):
        """One line an entry; a stream that follows ends with its Workflow."""
        pod = query["podName"]
        self.stream_begins()
        with self.cluster.lock:
            words = self.cluster.logs.get(pod, [])
        for word in words:
            self.chunk(json.dumps({"content": word, "podName": pod}).encode() + b"\n")
        while query.get("follow") and not self.cluster.closing:
            with self.cluster.lock:
                phases = [item["status"]["phase"] for key, item in self.cluster.objects.items() if key[0] == "workflows"]
                if "Running" not in phases:
                    break
                self.cluster.lock.wait(0.1)
        self.chunk(b"")


class Server(api.Server):
    cluster_class, handler_class = Cluster, Handler
