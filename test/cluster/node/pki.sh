#!/usr/bin/env bash
# Makes the certificates and the kubeconfigs of a node in the current folder. Arguments: the node's address, the path of kubectl.
set -euo pipefail
node_ip=$1
kubectl=$2

key() { openssl ecparam -genkey -name prime256v1 -noout -out "$1.key"; }

# cert NAME SUBJECT [SUBJECT-ALTERNATIVE-NAMES]
cert() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" | openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
    -extfile <(echo 'extendedKeyUsage=clientAuth,serverAuth'; [ -z "${3:-}" ] || echo "subjectAltName=$3")
}

key ca
openssl req -x509 -new -key ca.key -subj /CN=penstock-test -days 30 -out ca.crt
api=kubernetes.default.svc
cert apiserver /CN=kube-apiserver \
  "IP:$node_ip,IP:127.0.0.1,IP:10.96.0.1,DNS:kubernetes,DNS:kubernetes.default,DNS:$api,DNS:$api.cluster.local"
cert admin /O=system:masters/CN=admin
cert kcm /CN=system:kube-controller-manager
cert scheduler /CN=system:kube-scheduler
cert kubelet /O=system:nodes/CN=system:node:node1 "IP:$node_ip,DNS:node1"
cert proxy /CN=system:kube-proxy
cert front /CN=front-proxy
cert kubelet-client /O=system:masters/CN=apiserver-kubelet-client
cert metrics /CN=custom-metrics DNS:custom-metrics.kube-system.svc
openssl genrsa -out sa.key 2048
openssl rsa -in sa.key -pubout -out sa.pub

for user in admin kcm scheduler kubelet proxy; do
  "$kubectl" config --kubeconfig=$user.conf set-cluster node "--server=https://$node_ip:6443" --certificate-authority=ca.crt --embed-certs
  "$kubectl" config --kubeconfig=$user.conf set-credentials $user --client-certificate=$user.crt --client-key=$user.key --embed-certs
  "$kubectl" config --kubeconfig=$user.conf set-context node --cluster=node --user=$user
  "$kubectl" config --kubeconfig=$user.conf use-context node
done
