import { join } from 'node:path';

/** The configuration files of containerd, the kubelet, kube-proxy and the pod network, by name below the node's folder. */
export function nodeFiles(folder: string): Readonly<Record<string, string>> {
  const pki = join(folder, 'pki');
  return {
    'containerd.toml': containerd(folder),
    'cni/net.d/10-bridge.conflist': JSON.stringify(podNetwork(folder)),
    'kubelet.yaml': JSON.stringify(kubelet(folder, pki)),
    'proxy.yaml': JSON.stringify(proxy(pki)),
    // What Pods are given when they ask for the node's resolver: nothing is looked up outside.
    'resolv.conf': '',
  };
}

function containerd(folder: string): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "penstock.test/pause:1"
disable_tcp_service = true
disable_hugetlb_controller = true
# Where the machine lacks CAP_SYS_RESOURCE, a lower oom_score_adj is refused.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${folder}/cni/net.d"
`;
}

function podNetwork(folder: string): object {
  const ipam = {
    type: 'host-local',
    dataDir: join(folder, 'cni/ipam'),
    ranges: [[{ subnet: '10.244.0.0/24' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, hairpinMode: true, ipam };
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [bridge, { type: 'portmap', capabilities: { portMappings: true } }],
  };
}

function kubelet(folder: string, pki: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(pki, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(pki, 'kubelet.crt'),
    tlsPrivateKeyFile: join(pki, 'kubelet.key'),
    cgroupDriver: 'cgroupfs',
    cgroupRoot: '/',
    failCgroupV1: false,
    failSwapOn: false,
    clusterDNS: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    resolvConf: join(folder, 'resolv.conf'),
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    registryPullQPS: 0,
    volumePluginDir: join(folder, 'plugins'),
  };
}

function proxy(pki: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: join(pki, 'proxy.conf') },
    mode: 'iptables',
    clusterCIDR: '10.244.0.0/16',
    hostnameOverride: 'node1',
    // The sizes of connection tracking belong to the machine, not to a namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
