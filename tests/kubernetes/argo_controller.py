#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A controller that walks Workflows as Argo documents it, for tests: argo_controller.py KUBECONFIG [--pack]

Argo's own cannot be built on the machines that test descpipe. This one lists the Workflows and pods of a namespace again and again,
starts real pods, and writes the nodes' states into the Workflow's status, with the resource version that it read (a conflict is
tried again). It knows what descpipe writes and what surrounds it: DAGs with `depends`, failFast, withItems and withSequence,
container, script, containerSet and suspend templates, retryStrategy with expressions and backoff, parallelism, deadlines, shutdown,
the exit hook, podGC. Anything else ends the Workflow as an error, so that it is not passed over in silence. With --pack the nodes are
written as compressedNodes, as Argo does when they are many.

Source: argo-workflows.readthedocs.io/en/latest: fields, variables, enhanced-depends-logic, retries, lifecyclehook, walk-through.
"""
import base64
import copy
import datetime
import gzip
import json
import re
import ssl
import sys
import time
import urllib.error
import urllib.request

API = "/apis/argoproj.io/v1alpha1/namespaces/default/workflows"
PODS = "/api/v1/namespaces/default/pods"
OVER = ("Succeeded", "Failed", "Error", "Skipped", "Omitted")
KNOWN_SPEC = {"entrypoint", "templates", "parallelism", "priority", "serviceAccountName", "podPriorityClassName", "imagePullSecrets",
              "nodeSelector", "tolerations", "affinity", "hooks", "onExit", "activeDeadlineSeconds", "ttlStrategy", "podGC",
              "securityContext", "podMetadata", "podSpecPatch", "shutdown", "suspend", "arguments"}
KNOWN_TEMPLATE = {"name", "metadata", "container", "script", "containerSet", "initContainers", "volumes", "tolerations", "nodeSelector",
                  "affinity", "activeDeadlineSeconds", "retryStrategy", "dag", "suspend", "inputs"}


class Server:
    def __init__(self, path):
        text = open(path, encoding="utf-8").read()
        word = lambda key: re.search(r"^\s*%s: (\S+)" % key, text, re.M).group(1)
        self.url, self.token = word("server"), word("token")
        self.context = ssl.create_default_context(cafile=word("certificate-authority"))

    def ask(self, method, path, body=None, kind="application/json"):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + self.token, "Content-Type": kind})
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            return json.load(answer)


def fnv1a(text):
    """By which Argo tells the names of nodes and pods apart."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(text):
    total = sum(float(number) * {"ms": .001, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
                for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h|d)", str(text)))
    return total if re.search("[a-z]", str(text)) else float(text)


def since(stamp):
    then = datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return (datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()


def evaluate(expression, names):
    """&&, ||, !, contains, in, comparisons: the part of Argo's expression language that is used here."""
    text = re.sub(r"([\w.]+)\s+contains\s+('[^']*')", r"(\2 in \1)", expression)
    text = text.replace("&&", " and ").replace("||", " or ").replace("asInt(", "int(")
    text = re.sub(r"!(?!=)", " not ", text)
    return bool(eval(text, {"__builtins__": {}, "int": int}, names))  # of our own tests


def depends_holds(expression, tasks):
    """None while a task of it is not over."""
    waits = False

    def value(match):
        nonlocal waits
        name, result = match.group(1), match.group(3)
        phase = tasks[name]  # a name that is no task is an error
        if phase not in OVER:
            waits = True
            return "False"
        wanted = {None: ("Succeeded", "Skipped"), "Succeeded": ("Succeeded",), "Failed": ("Failed",), "Errored": ("Error",),
                  "Skipped": ("Skipped",), "Omitted": ("Omitted",)}[result]
        return str(phase in wanted)

    text = re.sub(r"([A-Za-z0-9][-A-Za-z0-9]*)(\.(Succeeded|Failed|Errored|Skipped|Omitted))?", value, expression)
    answer = evaluate(text, {})
    return None if waits else answer


def substituted(value, names):
    """Argo replaces {{name}} in every text; a name that it does not know is an error."""
    def one(match):
        name = match.group(1).strip()
        if name not in names:
            raise ValueError("failed to resolve {{%s}}" % name)
        return names[name] if isinstance(names[name], str) else json.dumps(names[name])

    if isinstance(value, str):
        return re.sub(r"\{\{(.*?)\}\}", one, value)
    if isinstance(value, list):
        return [substituted(item, names) for item in value]
    if isinstance(value, dict):
        return {key: substituted(item, names) for key, item in value.items()}
    return value


def items_of(task):
    """None: it is no loop."""
    if "withSequence" in task:
        sequence = task["withSequence"]
        first = int(sequence.get("start", 0))
        return [sequence.get("format", "%d") % number for number in range(first, first + int(sequence["count"]))]
    return task.get("withItems")


def item_text(item):
    """As it stands in a node's name."""
    if isinstance(item, dict):
        return ",".join("%s:%s" % pair for pair in sorted(item.items()))
    return item if isinstance(item, str) else json.dumps(item)


def parameters_of(task, names):
    """What a task's template is given; the loop's item is known in the arguments only."""
    return {"inputs.parameters." + parameter["name"]: substituted(parameter["value"], names)
            for parameter in task.get("arguments", {}).get("parameters", [])}


class Walk:
    """One look at one Workflow."""

    def __init__(self, server, workflow, pods):
        self.server, self.workflow, self.spec = server, workflow, workflow["spec"]
        self.name = workflow["metadata"]["name"]
        self.pods = {pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"]: pod for pod in pods
                     if pod["metadata"].get("labels", {}).get("workflows.argoproj.io/workflow") == self.name}
        status = workflow.setdefault("status", {})
        if "compressedNodes" in status:
            status["nodes"] = json.loads(gzip.decompress(base64.b64decode(status.pop("compressedNodes"))))
        self.status, self.nodes = status, status.setdefault("nodes", {})
        self.by_name = {node["name"]: node for node in self.nodes.values()}
        self.templates = {template["name"]: template for template in self.spec["templates"]}
        self.active = sum(1 for node in self.nodes.values() if node["type"] == "Pod" and node["phase"] in ("Pending", "Running"))
        self.shutdown = self.spec.get("shutdown")

    def node(self, name, kind, template, parent=None, phase="Running", **more):
        if name not in self.by_name:
            number = self.name if name == self.name else "%s-%d" % (self.name, fnv1a(name))
            node = dict(id=number, name=name, displayName=name.rsplit(".", 1)[-1], type=kind, templateName=template,
                        templateScope="local/" + self.name, phase=phase, startedAt=now(), **more)
            if phase in OVER:
                node["finishedAt"] = node["startedAt"]
            self.nodes[number] = self.by_name[name] = node
            if parent is not None:
                parent.setdefault("children", []).append(number)
        return self.by_name[name]

    @staticmethod
    def end(node, phase, message=None):
        node.update(phase=phase, finishedAt=now())
        node.pop("message", None)
        if message:
            node["message"] = message

    # Pods.

    def pod_of(self, node, template, names):
        unknown = set(template) - KNOWN_TEMPLATE
        if unknown:
            raise ValueError("this controller does not know the template's " + ", ".join(sorted(unknown)))
        template = substituted(template, names)
        volumes, containers = copy.deepcopy(template.get("volumes", [])), []
        name = "%s-%s-%s" % (self.name, template["name"].lower()[:40], node["id"].rsplit("-", 1)[-1])
        if "containerSet" in template:
            containers = self.ordered(template["containerSet"]["containers"], volumes)
        else:
            container = dict(template.get("container") or template["script"], name="main")
            if "script" in template:
                source = container.pop("source")
                self.ask_quietly("POST", "/api/v1/namespaces/default/configmaps", {
                    "metadata": {"name": name, "ownerReferences": [self.owner()]}, "data": {"script": source}})
                volumes.append({"name": "argo-staging", "configMap": {"name": name}})
                container["volumeMounts"] = container.get("volumeMounts", []) + [
                    {"name": "argo-staging", "mountPath": "/argo/staging/script", "subPath": "script"}]
                container["command"] = container["command"] + ["/argo/staging/script"]
            containers = [container]
        if any(not container.get("command") for container in containers):
            raise ValueError("container without a command: the emissary executor needs it")
        common, own = self.spec.get("podMetadata", {}), template.get("metadata", {})
        pod = {"restartPolicy": "Never", "containers": containers, "volumes": volumes}
        for key in ("nodeSelector", "tolerations", "affinity", "initContainers"):
            if key in template or key in self.spec:
                pod[key] = template.get(key, self.spec.get(key))
        for key in ("serviceAccountName", "imagePullSecrets", "securityContext"):
            if key in self.spec:
                pod[key] = self.spec[key]
        if "podPriorityClassName" in self.spec:
            pod["priorityClassName"] = self.spec["podPriorityClassName"]
        if "activeDeadlineSeconds" in template:
            pod["activeDeadlineSeconds"] = int(template["activeDeadlineSeconds"])
        pod.update(json.loads(self.spec.get("podSpecPatch", "{}")))
        return {"apiVersion": "v1", "kind": "Pod", "spec": pod, "metadata": {
            "name": name, "ownerReferences": [self.owner()],
            "labels": {**common.get("labels", {}), **own.get("labels", {}), "workflows.argoproj.io/workflow": self.name,
                       "workflows.argoproj.io/completed": "false"},
            "annotations": {**common.get("annotations", {}), **own.get("annotations", {}),
                            "workflows.argoproj.io/node-name": node["name"], "workflows.argoproj.io/node-id": node["id"]}}}

    @staticmethod
    def ordered(containers, volumes):
        """A containerSet's order, which Argo's executor keeps: here by a file that the one before leaves."""
        volumes.append({"name": "argo-order", "emptyDir": {}})
        answer = []
        for container in containers:
            container = copy.deepcopy(container)
            first = " && ".join("until [ -e /argo/order/%s ]; do sleep 0.2; done; [ \"$(cat /argo/order/%s)\" = 0 ]" % (name, name)
                                for name in container.pop("dependencies", []))
            script = "%s%s\"$@\"; s=$?; echo $s > /argo/order/%s.new; mv /argo/order/%s.new /argo/order/%s; exit $s" % (
                "{ %s; } || { echo 64 > /argo/order/%s; exit 64; }; " % (first, container["name"]) if first else "", "", *[container["name"]] * 3)
            container["command"] = ["/bin/sh", "-c", script, "sh"] + container["command"]
            container["volumeMounts"] = container.get("volumeMounts", []) + [{"name": "argo-order", "mountPath": "/argo/order"}]
            answer.append(container)
        return answer

    def owner(self):
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": self.name,
                "uid": self.workflow["metadata"]["uid"], "controller": True}

    def ask_quietly(self, method, path, body=None):
        try:
            return self.server.ask(method, path, body)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                raise ValueError(error.read().decode(errors="replace")) from error
            return None

    def run_pod(self, node, template, names):
        pod = self.pods.get(node["name"])
        if node["phase"] in OVER:
            return
        if pod is None and node.get("made"):
            self.end(node, "Error", "pod deleted")
        elif pod is None:
            if self.shutdown:
                self.end(node, "Failed", "workflow shutdown with strategy:  " + self.shutdown)
                return
            self.ask_quietly("POST", PODS, self.pod_of(node, template, names))
            node["made"] = True
        else:
            node["made"] = True
            self.look_at_pod(node, pod)

    def look_at_pod(self, node, pod):
        status = pod.get("status", {})
        phase, states = status.get("phase"), status.get("containerStatuses", [])
        if "nodeName" in pod["spec"]:
            node["hostNodeName"] = pod["spec"]["nodeName"]
        ended = [(state["name"], state["state"]["terminated"]) for state in status.get("initContainerStatuses", []) + states
                 if "terminated" in state.get("state", {})]
        if pod["metadata"].get("deletionTimestamp") and phase in ("Pending", "Running"):
            if self.shutdown:
                self.end(node, "Failed", "workflow shutdown with strategy:  " + self.shutdown)
            return
        if self.shutdown and phase in ("Pending", "Running"):
            self.ask_quietly("DELETE", "%s/%s?gracePeriodSeconds=1" % (PODS, pod["metadata"]["name"]))
            return
        if phase == "Succeeded":
            node["outputs"] = {"exitCode": "0"}
            self.end(node, "Succeeded")
        elif phase == "Failed":
            bad = next(((name, state) for name, state in ended if state["exitCode"] != 0), None)
            message = status.get("message")
            if message is None and bad is not None:
                message = "%s%s (exit code %d)%s" % ("" if bad[0] == "main" else bad[0] + ": ", bad[1].get("reason", "Error"), bad[1]["exitCode"],
                                                    ": " + bad[1]["message"] if bad[1].get("message") else "")
            main = next((state for name, state in ended if name == "main"), None)
            if main is not None:
                node["outputs"] = {"exitCode": str(main["exitCode"])}
            self.end(node, "Failed", message or "pod failed")
        elif any("running" in state.get("state", {}) for state in states):
            node["phase"] = "Running"
            node.pop("message", None)
        else:
            node["phase"] = "Pending"
            waiting = next((state["state"]["waiting"] for state in status.get("initContainerStatuses", []) + states
                            if state.get("state", {}).get("waiting", {}).get("reason") not in (None, "PodInitializing")), None)
            unplaced = next((c for c in status.get("conditions", []) if c["type"] == "PodScheduled" and c["status"] == "False"), None)
            why = waiting or unplaced
            if why:
                node["message"] = ": ".join(filter(None, [why.get("reason"), why.get("message")]))

    # Templates.

    def run_template(self, name, template, parent, names=None):
        template = self.templates[template] if isinstance(template, str) else template
        names = {"workflow.name": self.name, **(names or {})}
        if "dag" in template:
            return self.run_dag(self.node(name, "DAG", template["name"], parent), template)
        if "suspend" in template:
            return self.node(name, "Suspend", template["name"], parent)
        if "retryStrategy" in template:
            return self.run_retry(self.node(name, "Retry", template["name"], parent), template, names)
        if name not in self.by_name and not self.room():
            return None
        node = self.node(name, "Pod", template["name"], parent, "Pending")
        self.run_pod(node, template, {**names, "pod.name": node["id"], "node.name": name, "retries": "0"})
        return node

    def room(self):
        if self.spec.get("parallelism") and self.active >= self.spec["parallelism"]:
            return False
        self.active += 1
        return True

    def run_retry(self, node, template, names):
        if node["phase"] in OVER:
            return node
        strategy, number = template["retryStrategy"], len(node.get("children", []))
        last = self.by_name.get("%s(%d)" % (node["name"], number - 1))
        if last is not None and last["phase"] not in OVER:
            self.run_pod(last, template, {**names, "retries": str(number - 1)})
        if last is not None and last["phase"] == "Succeeded":
            self.end(node, "Succeeded")
            return node
        if last is not None and last["phase"] in OVER:
            exit_code = last.get("outputs", {}).get("exitCode", "-1")
            again = {"Always": True, "OnFailure": last["phase"] == "Failed", "OnError": last["phase"] == "Error"}[strategy.get("retryPolicy", "OnFailure")]
            if again and "expression" in strategy:
                words = type("LastRetry", (), dict(exitCode=exit_code, status=last["phase"], message=last.get("message", ""), duration="0"))
                again = evaluate(strategy["expression"], {"lastRetry": words})
            if not again or number > int(strategy["limit"]) or self.shutdown:
                self.end(node, last["phase"], "No more retries left" if number > int(strategy["limit"]) else last.get("message"))
                return node
            wait = seconds_of(strategy.get("backoff", {}).get("duration", "0s")) * float(strategy.get("backoff", {}).get("factor", 1)) ** (number - 1)
            if since(last["finishedAt"]) < wait:
                node["message"] = "Backoff for %d seconds" % wait
                return node
        if last is None or last["phase"] in OVER:
            if self.room():
                child = self.node("%s(%d)" % (node["name"], number), "Pod", template["name"], node, "Pending")
                self.run_pod(child, template, {**names, "retries": str(number)})
        return node

    def run_dag(self, node, template):
        tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        phase = lambda name: self.by_name.get("%s.%s" % (node["name"], name), {}).get("phase", "")
        fail_fast = template["dag"].get("failFast", True)
        for name, task in tasks.items():
            whole = "%s.%s" % (node["name"], name)
            if phase(name) in OVER:
                continue
            if whole not in self.by_name:
                holds = depends_holds(task["depends"], {other: phase(other) for other in tasks}) if "depends" in task else True
                failed = fail_fast and any(phase(other) in ("Failed", "Error") for other in tasks)
                if holds is None or failed or self.shutdown:
                    continue
                if not holds:
                    self.node(whole, "Skipped", task["template"], node, "Omitted", message="omitted: depends condition not met")
                    continue
            items = items_of(task)
            if items is None:
                self.run_template(whole, task["template"], node, parameters_of(task, {}))
            else:
                self.run_items(self.node(whole, "TaskGroup", task["template"], node), task, items)
        phases = [phase(name) for name in tasks]
        alive = [one for one in phases if one and one not in OVER]
        bad = [one for one in phases if one in ("Failed", "Error")]
        if not alive and (all(phases) or (bad and fail_fast) or self.shutdown):
            self.end(node, "Error" if "Error" in bad else "Failed" if bad or not all(phases) else "Succeeded")
        return node

    def run_items(self, group, task, items):
        done = []
        for number, item in enumerate(items):
            names = {"item": item, **({"item." + key: value for key, value in item.items()} if isinstance(item, dict) else {})}
            node = self.run_template("%s(%d:%s)" % (group["name"], number, item_text(item)), task["template"], group, parameters_of(task, names))
            done.append(node["phase"] if node else "")
        if all(phase in OVER for phase in done):
            self.end(group, next((bad for bad in ("Error", "Failed") if bad in done), "Succeeded"))

    # The Workflow.

    def walk(self):
        if self.status.get("phase") in ("Succeeded", "Failed", "Error") or self.spec.get("suspend"):
            return
        unknown = set(self.spec) - KNOWN_SPEC
        if unknown:
            raise ValueError("this controller does not know the spec's " + ", ".join(sorted(unknown)))
        self.status.setdefault("startedAt", now())
        self.status["phase"] = "Running"
        self.workflow["metadata"].setdefault("annotations", {})["workflows.argoproj.io/pod-name-format"] = "v2"
        if "activeDeadlineSeconds" in self.spec and since(self.status["startedAt"]) > self.spec["activeDeadlineSeconds"]:
            self.shutdown = self.shutdown or "Terminate"
        root = self.run_template(self.name, self.spec["entrypoint"], None)
        if root is None or root["phase"] not in OVER:
            return
        hook = self.spec.get("hooks", {}).get("exit")
        if hook and self.shutdown != "Terminate":
            reference = hook["templateRef"]
            found = self.server.ask("GET", API.replace("workflows", "workflowtemplates", 1) + "/" + reference["name"])
            template = next(one for one in found["spec"]["templates"] if one["name"] == reference["template"])
            self.shutdown, template = None, dict(template)
            done = self.run_template(self.name + ".onExit", substituted(template, {"workflow.status": root["phase"], "workflow.name": self.name}), None)
            if done is None or done["phase"] not in OVER:
                return
        if self.workflow["spec"].get("shutdown"):
            self.status["message"] = "Stopped with strategy '%s'" % self.workflow["spec"]["shutdown"]
        self.status.update(phase=root["phase"], finishedAt=now())

    def collect(self):
        strategy = self.spec.get("podGC", {}).get("strategy")
        for name, pod in self.pods.items():
            phase = self.by_name.get(name, {}).get("phase")
            if (strategy == "OnPodCompletion" and phase in OVER) or (strategy == "OnPodSuccess" and phase == "Succeeded") or \
               (strategy == "OnWorkflowCompletion" and self.status.get("phase") in OVER):
                self.ask_quietly("DELETE", "%s/%s" % (PODS, pod["metadata"]["name"]))


def look(server, workflow, pods, pack):
    before = json.dumps(workflow, sort_keys=True)
    walk = Walk(server, workflow, pods)
    try:
        walk.walk()
    except (ValueError, KeyError, StopIteration) as error:
        walk.status.update(phase="Error", finishedAt=now(), message=str(error))
    nodes = walk.status["nodes"]
    if pack:
        walk.status["compressedNodes"] = base64.b64encode(gzip.compress(json.dumps(nodes).encode(), mtime=0)).decode()
        del walk.status["nodes"]
    if json.dumps(workflow, sort_keys=True) != before:
        server.ask("PUT", API + "/" + walk.name, workflow)
    walk.status["nodes"] = nodes
    walk.collect()


def main():
    server, pack = Server(sys.argv[1]), "--pack" in sys.argv
    while True:
        try:
            workflows = server.ask("GET", API)["items"]
            pods = server.ask("GET", PODS + "?labelSelector=workflows.argoproj.io%2Fworkflow")["items"] if workflows else []
            for workflow in workflows:
                try:
                    look(server, workflow, pods, pack)
                except urllib.error.HTTPError as error:
                    if error.code not in (404, 409):  # changed or deleted meanwhile: the next look sees it
                        raise
        except (OSError, ValueError) as error:
            print("argo_controller: %s" % error, file=sys.stderr, flush=True)
        time.sleep(0.3)


if __name__ == "__main__":
    main()
