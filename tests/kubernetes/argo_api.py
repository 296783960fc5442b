# SPDX-License-Identifier: BSD-3-Clause
"""A small Kubernetes API server of the tests with Argo in it: Workflows, walked as argo_server.py does, and their pods.

It takes and orders the faults that api.py knows. Stages wait while `hold_nodes` is set, or `held` is in their
node's name, so that a test has time to look.
"""
import json
import re
import urllib.parse

import api
import argo_server

GROUP = "/apis/argoproj.io/v1alpha1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Logs(dict):
    """The words of a stage, as bytes of its log."""

    def __setitem__(self, name, words):
        super().__setitem__(name, ("".join(word + "\n" for word in words)).encode())


class Cluster(argo_server.Cluster):
    def __init__(self):
        super().__init__()
        self.logs = Logs()
        self.hold_nodes, self.held = False, "no such node"
        self.with_pods = True
        self.forbidden = set()  # rights that nobody has: "create workflows"
        self.kinds = set(api.PLURALS)

    def created(self, plural, item):
        if plural == "workflows":
            super().created(plural, item)

    def show_node(self, workflow, name, phase, kind="Pod", **more):
        with self.lock:
            while (self.hold_nodes or self.held in name) and phase == "Running" and kind == "Pod" and not self.closing:
                self.lock.wait(0.1)
            node = super().show_node(workflow, name, phase, kind, **more)
            if kind == "Pod" and phase in ("Pending", "Running", "Succeeded", "Failed") and self.with_pods:
                self.show_pod(workflow, node, phase)
            return node

    def show_pod(self, workflow, node, phase):
        name = self.pod(workflow, node)
        template = next(one for one in workflow["spec"]["templates"] if one["name"] == node["templateName"])
        state = {"Pending": {"waiting": {"reason": "ContainerCreating"}}, "Running": {"running": {"startedAt": api.now()}}}.get(phase)
        if state is None:
            state = {"terminated": {"exitCode": int(node.get("outputs", {}).get("exitCode", 1)), "reason": "Completed", "finishedAt": api.now()}}
        known = ("pods", name) in self.objects
        self.put("pods", name, {
            "apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "node1"},
            "metadata": {"name": name, "uid": "pod-" + name, "annotations": {"workflows.argoproj.io/node-name": node["name"]},
                         "labels": {**workflow["spec"]["podMetadata"]["labels"], **template["metadata"]["labels"]}},
            "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]}}, "MODIFIED" if known else "ADDED")


class Handler(api.Handler):
    """What `check --site` asks is answered as well; nothing comes of a dry run."""

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        plural = re.search(r"/namespaces/work/([a-z]+)$", url.path)
        asks = url.path in (REVIEWS, GROUP) or url.path == "/api/v1/nodes" or "dryRun=All" in url.query
        if not asks and not (plural and plural.group(1) not in self.cluster.kinds):
            super().handle_any()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.cluster.lock:
            self.cluster.requests.append("%s %s" % (self.command, self.path))
        if url.path == REVIEWS:
            wanted = json.loads(body)["spec"]["resourceAttributes"]
            self.answer(201, {"status": {"allowed": "%s %s" % (wanted["verb"], wanted["resource"]) not in self.cluster.forbidden}})
        elif url.path == GROUP:
            self.answer(200 if "workflows" in self.cluster.kinds else 404, {"kind": "APIResourceList"})
        elif url.path == "/api/v1/nodes":
            self.answer(200, {"items": []})
        elif plural and plural.group(1) not in self.cluster.kinds:
            self.answer(404, b"404 page not found\n")
        else:
            self.answer(201, json.loads(body))

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = handle_any

    def change(self, plural, name, news):
        """A merge patch reaches into the spec too: that is how a Workflow is stopped."""
        if plural == "workflows" and self.command == "PATCH" and "spec" in news:
            with self.cluster.lock:
                item = self.cluster.objects.get((plural, name))
                if item:
                    item["spec"].update(news["spec"])
                    self.cluster.put(plural, name, item, "MODIFIED")
            if item:
                self.answer(200, item)
                return
        super().change(plural, name, news)


class Server(api.Server):
    cluster_class, handler_class = Cluster, Handler
