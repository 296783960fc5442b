#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A registry with one large image and a hundred tags, and bench-registry on it.
#   registry.sh BENCH DRIVE DESCPIPE DOCKER_DAEMON_SCRIPT [--layers=N] [--mib=N] [--rounds=N] [--docker=1]
# Layers are half noise and half text, so that they shrink like a real one.
set -eu
bench=$1 drive=$2 descpipe=$3 daemon=$(realpath "$4")
shift 4
layers=10 mib=50 rounds=3 docker=0
for argument in "$@"; do
    case $argument in
    --layers=*) layers=${argument#*=} ;;
    --mib=*) mib=${argument#*=} ;;
    --rounds=*) rounds=${argument#*=} ;;
    --docker=*) docker=${argument#*=} ;;
    esac
done
for tool in docker-registry skopeo python3 curl; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done
top=$(mktemp -d)
export HOME="$top/home" XDG_CACHE_HOME="$top/cache"
mkdir -p "$HOME" "$XDG_CACHE_HOME" "$top/copies"
export XDG_RUNTIME_DIR="$top/runtime" # skopeo looks into /run/containers else, which a root's podman may have closed
mkdir -m 700 "$XDG_RUNTIME_DIR"
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ "$docker" = 0 ] || sh "$daemon" stop "$top/engine" >/dev/null 2>&1 || true
    chmod -R u+rwX "$top" 2>/dev/null || true
    rm -rf "$top"
}
trap finish EXIT
trap 'exit 1' INT TERM
printf 'version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' "$top/data" >"$top/conf.yml"
: >"$top/log"
docker-registry serve "$top/conf.yml" >"$top/log" 2>&1 &
server=$!
until port=$(grep -m 1 -o 'listening on 127.0.0.1:[0-9]*' "$top/log"); do python3 -c 'import time; time.sleep(0.05)'; done
host=127.0.0.1:${port##*:}
python3 - "$top" "$layers" "$mib" <<'END'
import gzip, hashlib, io, json, os, sys, tarfile
top, layers, mib = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
blobs = os.path.join(top, "layout", "blobs", "sha256")
os.makedirs(blobs)

def put(data):
    name = hashlib.sha256(data).hexdigest()
    open(os.path.join(blobs, name), "wb").write(data)
    return {"digest": "sha256:" + name, "size": len(data)}

def layer(number):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        # noise does not shrink: so many compressed MiB, in files of different sizes, beside as much text
        left, count = mib << 20, 0
        while left > 0:
            size = min(left, (4096, 65536, 1 << 20, 8 << 20)[count % 4])
            half = size // 2 + 1
            for name, data in (("noise", os.urandom(size)), ("text", (b"%d a line of text\n" % count) * (size // 18 + 1))):
                entry = tarfile.TarInfo("layer%d/%s/%d" % (number, name, count))
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            left -= size
            count += 1
    data = plain.getvalue()
    packed = put(gzip.compress(data, 6, mtime=0))
    return "sha256:" + hashlib.sha256(data).hexdigest(), packed

def image(made, words):
    config = put(json.dumps({"os": "linux", "architecture": "amd64", "config": {"Env": words},
                             "rootfs": {"type": "layers", "diff_ids": [m[0] for m in made]}}).encode())
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": dict(config, mediaType="application/vnd.oci.image.config.v1+json"),
                "layers": [dict(m[1], mediaType="application/vnd.oci.image.layer.v1.tar+gzip") for m in made]}
    return dict(put(json.dumps(manifest).encode()), mediaType=manifest["mediaType"]), config

made = [layer(i) for i in range(layers)]
small = [layer(layers)] if mib < 2 else [made[0]]
large, _ = image(made, ["A=large"])
large["annotations"] = {"org.opencontainers.image.ref.name": "1"}
json.dump({"schemaVersion": 2, "manifests": [large]}, open(os.path.join(top, "layout", "index.json"), "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(os.path.join(top, "layout", "oci-layout"), "w"))
open(os.path.join(top, "layers"), "w").write("".join(m[1]["digest"][7:] + "\n" for m in made))
json.dump([image(made[:1], ["N=%d" % n]) for n in range(1, 101)], open(os.path.join(top, "tags.json"), "w"))
END
skopeo copy -q --dest-tls-verify=false "oci:$top/layout:1" "docker://$host/bench/large:1"
python3 - "$top" "$host" <<'END'
import http.client, json, os, sys
top, host = sys.argv[1:3]
link = http.client.HTTPConnection(host)
blobs = os.path.join(top, "layout", "blobs", "sha256")

def ask(method, path, body=b"", kind="application/octet-stream"):
    link.request(method, path, body, {"Content-Type": kind, "Content-Length": str(len(body))})
    answer = link.getresponse()
    answer.read()
    assert answer.status in (201, 202), (path, answer.status)
    return answer.headers.get("Location")

def send(digest, mounted):
    if mounted:
        ask("POST", "/v2/bench/tags/blobs/uploads/?mount=%s&from=bench/large" % digest)
        return
    place = ask("POST", "/v2/bench/tags/blobs/uploads/")
    place = place[place.index("/v2/"):]
    ask("PUT", place + ("&" if "?" in place else "?") + "digest=" + digest, open(os.path.join(blobs, digest[7:]), "rb").read())

tags = json.load(open(os.path.join(top, "tags.json")))
manifests, configs, stages = [], [], []
for number, (manifest, config) in enumerate(tags, 1):
    body = open(os.path.join(blobs, manifest["digest"][7:]), "rb").read()
    if number == 1:
        for layer in json.loads(body)["layers"]:
            send(layer["digest"], True)
    send(config["digest"], False)
    ask("PUT", "/v2/bench/tags/manifests/%d" % number, body, manifest["mediaType"])
    manifests.append('url = "http://%s/v2/bench/tags/manifests/%d"\nheader = "Accept: %s"\n' % (host, number, manifest["mediaType"]))
    configs.append('url = "http://%s/v2/bench/tags/blobs/%s"\n' % (host, config["digest"]))
    stages.append('s%d: {image: "%s/bench/tags:%d", command: [/bin/true]}\n' % (number, host, number))
open(os.path.join(top, "manifests"), "w").write("".join(manifests))
open(os.path.join(top, "configs"), "w").write("".join(configs))
with open(os.path.join(top, "tags.yaml"), "w") as pipeline:
    pipeline.write("pipeline: {owner: me, basename: b, version: 1.0, stages: [%s]}\n" % ", ".join("s%d" % n for n in range(1, 101)))
    pipeline.write("runtime: {backend: here, working: %s/work, output: %s/out}\n" % (top, top))
    pipeline.write("backends: {here: {scheduler: local, runtime: native, registry: oci}}\n")
    pipeline.writelines(stages)
END
if [ "$docker" = 1 ]; then
    engine=$(sh "$daemon" start "$top/engine")
    export DOCKER_HOST="${engine#DOCKER_HOST=}"
fi
"$bench" --rounds="$rounds" "$host" "$top" "$drive" "$descpipe"
