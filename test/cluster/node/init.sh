#!/usr/bin/env bash
# The first process of a node's namespaces: starts and keeps all of Kubernetes. No mount, route, rule or sysctl leaves the
# namespaces, and its end ends everything. Environment: RUN, the node's folder; PROGRAMS, the compiled ones; NODE_IP.
set -u
cd "$RUN"
pki=$RUN/pki
kubectl=("$PROGRAMS/kubectl" "--kubeconfig=$pki/admin.conf")
socket=/run/containerd/containerd.sock

keep() { # keep NAME COMMAND…: starts it again when it ends
  local name=$1
  shift
  (while :; do
    "$@" >>"$RUN/log/$name.log" 2>&1
    echo "ended with $?" >>"$RUN/log/$name.log"
    sleep 1
  done) &
}

network() {
  hostname node1
  # Both ends of eth0 are in here, so that no packet leaves; not every kernel has the dummy driver.
  ip link set lo up
  ip link add eth0 type veth peer name eth0p
  ip addr add "$NODE_IP/24" dev eth0
  ip link set eth0 up
  ip link set eth0p up
  ip route add default dev eth0
  sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 || true
}

mounts() {
  umount -R /sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while read -r controllers _; do
    name=${controllers#name=}
    mkdir -p "/sys/fs/cgroup/$name"
    [ "$controllers" = "$name" ] || controllers=none,$controllers
    mount -t cgroup -o "$controllers" cgroup "/sys/fs/cgroup/$name"
  done <cgroups
  # As on most nodes, what belongs to the system shares one weight, beside that of all Pods.
  mkdir /sys/fs/cgroup/cpu/system
  echo $$ >/sys/fs/cgroup/cpu/system/cgroup.procs
  mount --make-rshared /
  while read -r outside inside; do mount --bind "$inside" "$outside"; done <mounts
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/lock /run/netns
  printf '127.0.0.1 localhost\n%s node1\n' "$NODE_IP" >/run/hosts
  mount --bind /run/hosts /etc/hosts
  : >/run/resolv.conf # no name server: nothing is looked up outside
  mount --bind /run/resolv.conf "$(readlink -f /etc/resolv.conf)"
}

control_plane() {
  keep etcd "$PROGRAMS/etcd" --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  keep apiserver "$PROGRAMS/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    "--advertise-address=$NODE_IP" --bind-address=0.0.0.0 --secure-port=6443 --service-cluster-ip-range=10.96.0.0/16 \
    --client-ca-file=$pki/ca.crt --tls-cert-file=$pki/apiserver.crt --tls-private-key-file=$pki/apiserver.key \
    --service-account-key-file=$pki/sa.pub --service-account-signing-key-file=$pki/sa.key \
    --service-account-issuer=https://kubernetes.default.svc --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true --enable-aggregator-routing=true \
    --kubelet-preferred-address-types=InternalIP --kubelet-client-certificate=$pki/kubelet-client.crt \
    --kubelet-client-key=$pki/kubelet-client.key --requestheader-client-ca-file=$pki/ca.crt \
    --requestheader-allowed-names=front-proxy --requestheader-username-headers=X-Remote-User \
    --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file=$pki/front.crt --proxy-client-key-file=$pki/front.key
  # Started earlier, these two end once and wait.
  until "${kubectl[@]}" get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
  keep kcm "$PROGRAMS/kube-controller-manager" --kubeconfig=$pki/kcm.conf --authentication-kubeconfig=$pki/kcm.conf \
    --authorization-kubeconfig=$pki/kcm.conf --service-account-private-key-file=$pki/sa.key --root-ca-file=$pki/ca.crt \
    --use-service-account-credentials --leader-elect=false --cluster-cidr=10.244.0.0/16 --allocate-node-cidrs=false \
    "--flex-volume-plugin-dir=$RUN/plugins" \
    --cluster-signing-cert-file=$pki/ca.crt --cluster-signing-key-file=$pki/ca.key --bind-address=127.0.0.1 \
    --horizontal-pod-autoscaler-sync-period=5s --horizontal-pod-autoscaler-initial-readiness-delay=10s
  keep scheduler "$PROGRAMS/kube-scheduler" --kubeconfig=$pki/scheduler.conf --leader-elect=false --bind-address=127.0.0.1 \
    --authentication-kubeconfig=$pki/scheduler.conf --authorization-kubeconfig=$pki/scheduler.conf
}

containers() {
  keep containerd containerd --config "$RUN/containerd.toml"
  until ctr -a $socket version >/dev/null 2>&1; do sleep 0.1; done
  for archive in "$RUN"/images/*.tar; do
    ctr -a $socket -n k8s.io images import "$archive" >>"$RUN/log/import.log" 2>&1
  done
  keep kubelet "$PROGRAMS/kubelet" --config="$RUN/kubelet.yaml" --kubeconfig=$pki/kubelet.conf --root-dir="$RUN/kubelet" \
    --hostname-override=node1 "--node-ip=$NODE_IP" --cert-dir=$pki
  keep proxy "$PROGRAMS/kube-proxy" --config="$RUN/proxy.yaml"
}

network
mounts
control_plane
containers
while :; do wait -n 2>/dev/null || sleep 1; done
