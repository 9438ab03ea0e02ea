#!/usr/bin/env bash
# Puts this process into the node's control groups and hands over to init.sh in namespaces of its own. The kernel kills all
# of it when the process that runs the test dies (--pdeathsig, --kill-child), however it dies.
set -euo pipefail
while read -r _ folder; do echo $$ >"$folder/cgroup.procs"; done <"$RUN/cgroups"
exec setpriv --pdeathsig KILL -- unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child --mount-proc \
  --propagation private bash "$(dirname "$0")/init.sh"
