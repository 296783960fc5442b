#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What only `singularity` has, with a real Apptainer, as root and as an ordinary user: every kind of image, the folders that a site
# names for images and for unpacking, a puller that is killed, and paths that hold what the tool's own words are made of.
#
#   singularity_test.sh PROGRAM
#
# Exit status: 0 passed, 1 failed, 77 this machine lacks a tool or we are not root (a failure when CI is set).
set -eu
runtime=singularity
program=${1:?usage: singularity_test.sh PROGRAM}
# shellcheck source=tests/runtimes/begin.sh
. "$(dirname "$0")/begin.sh"
[ "$(id -u)" = 0 ] || cannot "only root can try both root and an ordinary user"
make_images
make_tools
# It says where it unpacks, and waits to be killed where it is told to.
mkdir "$folder/slow"
cat >"$folder/slow/apptainer" <<END
#!/bin/sh
echo "\${APPTAINER_TMPDIR-none} \$1" >>"\$HOME/asked"
case \$1 in build | pull) [ ! -p "\$HOME/begun" ] || { echo \$\$ >"\$HOME/begun"; exec sleep infinity; } ;; esac
exec '$folder/bin/apptainer' "\$@"
END
chmod 755 "$folder/slow/apptainer"
for who in caller ordinary; do
    "as_$who" "$tests/singularity_stages.sh" "$program" "$folder" || failed "as $who (see above)"
done
echo "passed"
