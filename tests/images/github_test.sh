#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Stages of GitHub with the real git: its own `insteadOf` sends what is asked of github.com to a server on this machine. One stage
# is built into a root folder's image by make, so that nothing but git and descpipe takes part.
#
#   github_test.sh PROGRAM     PROGRAM is the descpipe to test, with its plugins beside it
#
# Exit status: 0 passed, 1 failed, 77 something of the machine is missing (a failure when CI is set).
set -eu

program=$(cd "$(dirname "$1")" && pwd -P)/$(basename "$1")
for tool in git python3; do
    command -v "$tool" > /dev/null || {
        echo "github_test: there is no $tool on this machine"
        [ -z "${CI:-}" ] || exit 1
        exit 77
    }
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/dpg-XXXXXX")
server=
finish() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
failed() {
    echo "github_test: FAILED: $*" >&2
    cat "$folder/said" >&2
    exit 1
}
refused() { # STATUS WORDS COMMAND...: it ends so and says so
    wanted=$1 words=$2 status=0
    shift 2
    "$@" > "$folder/said" 2>&1 || status=$?
    [ "$status" = "$wanted" ] || failed "status $status, not $wanted: $*"
    grep -qF -- "$words" "$folder/said" || failed "does not say: $words"
}

export HOME="$folder/home" XDG_CACHE_HOME="$folder/cache" XDG_STATE_HOME="$folder/state" XDG_CONFIG_HOME="$folder/config"
export GIT_CONFIG_NOSYSTEM=1
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
mkdir -p "$HOME" "$folder/hub/joe/stars/pipeline/docker"
cd "$folder"
git config --global user.name joe
git config --global user.email joe@example.org
git config --global init.defaultBranch main
git config --global "url.file://$folder/hub/.insteadOf" https://github.com/

commit() { # MESSAGE
    git -C hub/joe/stars add .
    git -C hub/joe/stars commit -qm "$1"
    git -C hub/joe/stars rev-parse HEAD
}
git init -q hub/joe/stars
cat > hub/joe/stars/pipeline/docker/run.py << 'END'
import descpipe


class Stage(descpipe.Stage):
    config = {}
    inputs = {}
    outputs = {"count": "txt"}
END
printf 'FROM scratch\n' > hub/joe/stars/pipeline/docker/Dockerfile
first=$(commit one)
printf 'all:\n' > hub/joe/stars/README
second=$(commit two)
pipeline() { # CHECKOUT
    cat > p.yaml << END
pipeline: {name: p, owner: joe, basename: d, version: 1.0, stages: [stars]}
runtime: {working: ./work, output: ./out}
backends: {default: {scheduler: sequential, runtime: host}}
stars: {github: joe/stars, checkout: "$1", command: [sh, -c, 'echo 7 > "\$DESC_OUTPUT/count.txt"']}
END
}
# The fetch comes before the build; that there is no tool to build with is another matter.
fetch() { "$program" build p.yaml > said 2>&1 || true; }

echo "== by commit"
pipeline "$first"
fetch
grep -qF "stars: fetched: $first of joe/stars" said || failed "was not fetched"
[ ! -e "cache/descpipe/github/joe/stars/commits/$first/README" ] || failed "that is not the first commit"
[ ! -e "cache/descpipe/github/joe/stars/commits/$first/.git" ] || failed "git's own files are in the cache"
echo "== a branch is asked for, and a commit that is here needs nobody"
pipeline main
fetch
[ -e "cache/descpipe/github/joe/stars/commits/$second/README" ] || failed "main was not fetched"
mv hub gone
pipeline "$first"
fetch
grep -qF "stars: fetched before:" said || failed "what is in the cache was asked for"
pipeline main
refused 4 "joe/stars: git: " "$program" build p.yaml # no network
mv gone hub

echo "== recorded"
pipeline "$first"
"$program" run p.yaml > said 2>&1 || failed "the run"
grep -qF "\"folder\":\"https://github.com/joe/stars\",\"commit\":\"$first\"" work/.descpipe/runs/*/provenance.json ||
    failed "the commit is not in the provenance"

echo "== wrong"
pipeline 0123456789012345678901234567890123456789
refused 2 "joe/stars: it has no commit 0123456789012345678901234567890123456789" "$program" build p.yaml
pipeline elsewhere
refused 2 "joe/stars: it has no branch and no tag 'elsewhere'" "$program" build p.yaml

echo "== a private repository"
cat > private.py << 'END'
import http.server


class Private(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Private)
print(server.server_port, flush=True)
server.serve_forever()
END
mkfifo port
python3 private.py > port &
server=$!
read -r port_number < port
git config --global --unset-all "url.file://$folder/hub/.insteadOf"
git config --global "url.http://127.0.0.1:$port_number/.insteadOf" https://github.com/
refused 4 "joe/stars: there is no such repository, or it is private and git has no login for it" "$program" build p.yaml
grep -qF "git help credentials" said || failed "no remedy"
echo "github_test: passed"
