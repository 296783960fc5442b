# SPDX-License-Identifier: BSD-3-Clause
"""A small Kubernetes API server of the tests, for what a real one will not do on demand.

It keeps Jobs, pods and Secrets, lists and watches them with resource versions, and plays the cluster: a Job gets a pod whose fate
is the first word of its command. Faults are ordered by the test: each meets the next requests that it names.
"""
import base64
import hashlib
import http.server
import json
import re
import threading
import time
import urllib.parse

PLURALS = {"jobs": "Job", "pods": "Pod", "secrets": "Secret", "configmaps": "ConfigMap", "events": "Event", "workflows": "Workflow"}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Cluster:
    def __init__(self):
        self.lock = threading.Condition()
        self.version = 1000
        self.oldest = 0  # what was before is forgotten: 410
        self.objects = {}  # (plural, name) → object
        self.history = []  # (version, plural, type, object)
        self.requests = []  # "METHOD path?query"
        self.faults = []
        self.logs = {}
        self.secret_words = []
        self.token = None  # what it takes; None: anybody
        self.hold_pods = False  # a full quota
        self.registry_token, self.registry_token_ends = "", 0  # of ECR
        self.closing = False
        self.starts = {}  # Job's name → pods it was given

    def order(self, method, path, what, times=1, **more):
        """The next `times` requests of that method whose path matches meet `what`."""
        with self.lock:
            self.faults.append(dict(method=method, path=re.compile(path), what=what, times=times, **more))

    def fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault["times"] > 0 and fault["method"] == method and fault["path"].search(path):
                    fault["times"] -= 1
                    return fault
        return None

    def put(self, plural, name, item, kind, silent=False):
        """With the lock held."""
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        if kind == "DELETED":
            self.objects.pop((plural, name), None)
        else:
            self.objects[(plural, name)] = item
        if not silent:
            self.history.append((self.version, plural, kind, json.loads(json.dumps(item))))
        self.lock.notify_all()

    def forget(self):
        """Watches from before now are too old."""
        with self.lock:
            self.version += 1
            self.oldest = self.version
            self.history = []
            self.lock.notify_all()

    # The cluster's own life.

    def pod_of(self, job, state, phase, **status):
        metadata = job["spec"]["template"]["metadata"]
        name = job["metadata"]["name"] + "-x%d" % self.starts[job["metadata"]["name"]]
        container = {"name": "main", "ready": False, "state": state} if state else None
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "uid": "pod-" + name, "labels": dict(metadata["labels"], **{"job-name": job["metadata"]["name"]}),
                             "annotations": metadata.get("annotations", {})},
                "spec": dict(job["spec"]["template"]["spec"], nodeName=status.pop("node", "node1")),
                "status": dict(status, phase=phase, containerStatuses=[container] if container else [])}

    def show(self, job, state, phase, **status):
        with self.lock:
            if ("jobs", job["metadata"]["name"]) not in self.objects:
                return False
            pod = self.pod_of(job, state, phase, **status)
            known = ("pods", pod["metadata"]["name"]) in self.objects
            self.put("pods", pod["metadata"]["name"], pod, "MODIFIED" if known else "ADDED")
            return True

    def live(self, job):
        """A pod's life, told by its command's first words."""
        name = job["metadata"]["name"]
        command = job["spec"]["template"]["spec"]["containers"][0]["command"]
        fate, rest = command[0], command[1:]
        with self.lock:
            while self.hold_pods:
                self.lock.wait(0.1)
                if self.closing:
                    return
            self.starts[name] = self.starts.get(name, 0) + 1
            self.logs[name + "-x1"] = b""
        self.show(job, None, "Pending", node="", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                                                             "message": "0/1 nodes are available: 1 Insufficient cpu."}])
        if fate == "nowhere":
            return
        self.show(job, {"waiting": {"reason": "ContainerCreating"}}, "Pending")
        if fate == "noimage":
            self.show(job, {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}, "Pending")
            return
        if fate == "noprogram":
            self.end(job, 128, "ContainerCannotRun", message='exec: "nothing": executable file not found in $PATH')
            return
        self.show(job, {"running": {"startedAt": now()}}, "Running")
        self.logs[name + "-x1"] = (" ".join(rest) + "\n").encode()
        if fate == "stay":
            return
        if fate == "vanish":
            self.wait_until_asked("/pods/%s-x1/log" % name)  # what nobody ever saw cannot be missed
            with self.lock:
                pod = self.objects.get(("pods", name + "-x1"))
                if pod:
                    self.put("pods", name + "-x1", pod, "DELETED", silent="silently" in rest)
            return
        if fate == "evict":
            self.show(job, None, "Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage.")
            return
        if fate == "late":
            self.show(job, {"terminated": {"exitCode": 137, "reason": "Error", "startedAt": now(), "finishedAt": now()}}, "Failed",
                      reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline")
            return
        if fate == "lostnode":
            self.show(job, None, "Failed", reason="NodeLost", message="Node node1 which was running pod is unresponsive")
            return
        if fate == "memory":
            self.end(job, 137, "OOMKilled")
            return
        self.end(job, int(rest[0]) if fate == "exit" else 0, "Completed")

    def wait_until_asked(self, part):
        while not self.closing:
            with self.lock:
                if any(part in line for line in self.requests):
                    return
            time.sleep(0.02)

    def end(self, job, code, reason, message=None):
        terminated = {"exitCode": code, "reason": reason, "startedAt": now(), "finishedAt": now()}
        if message:
            terminated["message"] = message
        self.show(job, {"terminated": terminated}, "Succeeded" if code == 0 else "Failed")

    def created(self, plural, item):
        if plural == "jobs":
            threading.Thread(target=self.live, args=(item,), daemon=True).start()

    def deleted(self, plural, name):
        """With the lock held: what belongs to a Job goes with it."""
        if plural == "jobs":
            for key, item in list(self.objects.items()):
                if key[0] == "pods" and item["metadata"]["labels"].get("job-name") == name:
                    self.put("pods", key[1], item, "DELETED")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def cluster(self):
        return self.server.cluster

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, reason, message, headers=()):
        self.answer(status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}, headers)

    def meets_fault(self, fault):
        """True: it was answered."""
        what = fault["what"] if fault else None
        if what == "slow":
            time.sleep(fault.get("seconds", 2))
            return False
        if what == "leader":
            self.refuse(500, "InternalError", "etcdserver: leader changed")
        elif what == "busy":
            self.refuse(429, "TooManyRequests", "too many requests", [("Retry-After", "1")])
        elif what == "quota":
            self.refuse(403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: small')
        elif what == "forbidden":
            self.refuse(403, "Forbidden", 'User "weak" cannot create resource "jobs"')
        elif what == "expired":
            self.refuse(410, "Expired", "too old resource version")
        elif what == "unauthorized":
            self.refuse(401, "Unauthorized", "Unauthorized")
        elif what == "cut":
            self.close_connection = True
            self.connection.close()
        else:
            return False
        return True

    def handle_any(self):
        cluster = self.cluster
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        with cluster.lock:
            cluster.requests.append("%s %s" % (self.command, self.path))
        if url.path.startswith("/v2/"):
            self.registry(url.path)
            return
        if self.headers.get("X-Amz-Target", "").endswith(".GetAuthorizationToken"):
            token = base64.b64encode(b"AWS:" + cluster.registry_token.encode()).decode()
            self.answer(200, {"authorizationData": [{"authorizationToken": token, "expiresAt": cluster.registry_token_ends}]})
            return
        fault = cluster.fault(self.command, self.path)
        if self.meets_fault(fault):
            return
        if cluster.token and self.headers.get("Authorization") != "Bearer " + cluster.token:
            self.refuse(401, "Unauthorized", "Unauthorized")
            return
        if url.path == "/version":
            self.answer(200, {"gitVersion": "v1.20.2"})
            return
        match = re.fullmatch(r"/(?:api/v1|apis/[a-z.]+/v[0-9a-z]+)/namespaces/([a-z0-9-]+)/([a-z]+)(?:/([^/]+))?(?:/(log))?", url.path)
        if not match or match.group(2) not in PLURALS:
            self.refuse(404, "NotFound", "the server could not find the requested resource")
            return
        plural, name = match.group(2), match.group(3)
        if match.group(4):
            self.log(name, query, fault)
        elif self.command == "POST":
            self.create(plural, json.loads(body), fault)
        elif self.command == "DELETE":
            self.delete(plural, name, query)
        elif self.command in ("PUT", "PATCH"):
            self.change(plural, name, json.loads(body))
        elif query.get("watch"):
            self.watch(plural, query, fault)
        elif name:
            with cluster.lock:
                item = cluster.objects.get((plural, name))
            if item:
                self.answer(200, item)
            else:
                self.refuse(404, "NotFound", '%s "%s" not found' % (plural, name))
        else:
            self.list(plural, query)

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = do_PATCH = handle_any

    @staticmethod
    def selects(query, item):
        for pair in filter(None, query.get("labelSelector", "").split(",")):
            key, _, value = pair.partition("=")
            if item["metadata"].get("labels", {}).get(key) != value:
                return False
        return True

    def list(self, plural, query):
        with self.cluster.lock:
            items = [item for key, item in sorted(self.cluster.objects.items()) if key[0] == plural and self.selects(query, item)]
            start, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
            metadata = {"resourceVersion": str(self.cluster.version)}
            if start + limit < len(items):
                metadata["continue"] = str(start + limit)
            body = json.dumps({"kind": "List", "metadata": metadata, "items": items[start:start + limit]}).encode()
        self.answer(200, body)

    def create(self, plural, item, fault):
        cluster, name = self.cluster, item["metadata"]["name"]
        with cluster.lock:
            if (plural, name) in cluster.objects:
                exists = True
            else:
                exists = False
                item["metadata"].update(uid="uid-" + name, creationTimestamp=now())
                cluster.put(plural, name, item, "ADDED")
        if exists:
            self.refuse(409, "AlreadyExists", '%s "%s" already exists' % (plural, name))
            return
        cluster.created(plural, item)
        if fault and fault["what"] == "lost answer":
            self.close_connection = True
            self.connection.close()
            return
        self.answer(201, item)

    def change(self, plural, name, news):
        """PUT, or a merge patch of the metadata."""
        cluster = self.cluster
        with cluster.lock:
            item = cluster.objects.get((plural, name))
            if item:
                for key, value in news.items():
                    if key == "metadata" and self.command == "PATCH":
                        item["metadata"].update(value)
                    elif key != "metadata":
                        item[key] = value
                cluster.put(plural, name, item, "MODIFIED")
        if item:
            self.answer(200, item)
        else:
            self.refuse(404, "NotFound", '%s "%s" not found' % (plural, name))

    def delete(self, plural, name, query):
        cluster = self.cluster
        with cluster.lock:
            doomed = [key for key, item in cluster.objects.items()
                      if key[0] == plural and (key[1] == name if name else self.selects(query, item))]
            for key in doomed:
                cluster.put(plural, key[1], cluster.objects[key], "DELETED")
                cluster.deleted(plural, key[1])
        if name and not doomed:
            self.refuse(404, "NotFound", '%s "%s" not found' % (plural, name))
        else:
            self.answer(200, {"kind": "Status", "status": "Success"})

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def stream_begins(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def watch(self, plural, query, fault):
        cluster, seen = self.cluster, int(query.get("resourceVersion") or "0")
        what = fault["what"] if fault else None
        with cluster.lock:
            too_old = seen < cluster.oldest
        self.stream_begins()
        if too_old or what == "expired event":
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}}
            self.chunk(json.dumps(gone).encode() + b"\n")
            self.chunk(b"")
            return
        if what == "garbage":
            self.chunk(b'{"type": "ADDED", "object": {"metada\n')
            self.chunk(b"")
            return
        told, until = 0, time.monotonic() + float(fault.get("seconds", 300) if fault else 300)
        while not cluster.closing and time.monotonic() < until:
            with cluster.lock:
                if seen < cluster.oldest:
                    break
                news = [event for event in cluster.history if event[0] > seen and event[1] == plural and self.selects(query, event[3])]
                if not news:
                    cluster.lock.wait(0.2)
                    continue
            for version, _, kind, item in news:
                if what == "cut after" and told >= fault.get("events", 1):
                    self.connection.close()
                    self.close_connection = True
                    return
                line = json.dumps({"type": kind, "object": item}).encode() + b"\n"
                if what == "pieces":
                    for i in range(0, len(line), 7):
                        self.chunk(line[i:i + 7])
                else:
                    self.chunk(line)
                seen, told = version, told + 1
        self.chunk(b"")

    def log(self, pod, query, fault):
        cluster = self.cluster
        with cluster.lock:
            if ("pods", pod) not in cluster.objects:
                missing = True
            else:
                missing = False
        if missing:
            self.refuse(404, "NotFound", 'pods "%s" not found' % pod)
            return
        self.stream_begins()
        if fault and fault["what"] == "words":  # a node that cannot read its file says so as if it were the log
            self.chunk(b"unable to retrieve container logs for docker://1234\n")
            self.chunk(b"")
            return
        sent, half = 0, fault and fault["what"] == "half"
        while True:
            with cluster.lock:
                data = cluster.logs.get(pod, b"")
                item = cluster.objects.get(("pods", pod))
                over = item is None or item["status"]["phase"] in ("Succeeded", "Failed")
            if half and data:
                self.chunk(data[:len(data) // 2])
                self.connection.close()
                self.close_connection = True
                return
            if data[sent:]:
                self.chunk(data[sent:])
                sent = len(data)
            if not query.get("follow") or over or cluster.closing:
                break
            with cluster.lock:
                cluster.lock.wait(0.1)
        self.chunk(b"")

    def registry(self, path):
        """Any image is there, and always the same."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        media = "application/vnd.docker.distribution.manifest.v2+json"
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        manifest = json.dumps({"schemaVersion": 2, "mediaType": media, "layers": [],
                               "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config),
                                          "digest": digest}}).encode()
        if "/manifests/" in path:
            self.send_response(200)
            self.send_header("Content-Type", media)
            self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(manifest).hexdigest())
            self.send_header("Content-Length", str(len(manifest)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(manifest)
        elif "/blobs/" in path:
            self.answer(200, config)
        else:
            self.answer(200, {})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # a connection that is refused for that is no fault that was ordered
    cluster_class, handler_class = Cluster, Handler

    def __init__(self):
        self.cluster = self.cluster_class()
        super().__init__(("127.0.0.1", 0), self.handler_class)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass  # a client may go at any time

    @property
    def place(self):
        return "127.0.0.1:%d" % self.server_address[1]

    def close(self):
        self.cluster.closing = True
        with self.cluster.lock:
            self.cluster.lock.notify_all()
        self.shutdown()
        self.server_close()


def secret_text(secret, key):
    return base64.b64decode(secret["data"][key]).decode()
