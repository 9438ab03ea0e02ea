#!/usr/bin/env bash
# Builds the Dockerfile with buildah and compares the image with the one that `npm run image` makes without an engine; then runs its
# services (container.test.ts). `npm run test:dockerfile`. Needs root, and on Debian: apt-get install --no-install-recommends buildah
# mmdebstrap. No registry of images is asked: a Debian with this machine's Node.js stands in for the Dockerfile's base image.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node=$(realpath node_modules/.bin/node)
base=$(sed -n 's/^ARG NODE=//p' Dockerfile)
buildah() { command buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }
policy=(--signature-policy "$work/policy.json")
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"

echo "making a stand-in for $base"
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mmdebstrap --quiet --variant=apt --include=ca-certificates --mode=root "$release" "$work/base.tar"
mkdir "$work/base"
tar -C "$work/base" -xf "$work/base.tar" --exclude='./dev/*'
cp "$node" "$work/base/usr/local/bin/node"
(cd "$work" && npm pack --silent "npm@$(npm --version)" >/dev/null)
modules=$work/base/usr/local/lib/node_modules
mkdir -p "$modules"
tar -C "$modules" -xzf "$work"/npm-*.tgz
mv "$modules/package" "$modules/npm"
chmod +x "$modules/npm/bin/npm-cli.js"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/base/usr/local/bin/npm"
# The authorities by which this machine reaches its package registries.
rm -rf "$work/base/etc/ssl/certs"
cp -rL /etc/ssl/certs "$work/base/etc/ssl/certs"
if [ -d /usr/local/share/ca-certificates ]; then cp -r /usr/local/share/ca-certificates "$work/base/usr/local/share/"; fi
container=$(buildah from "${policy[@]}" scratch)
buildah add --quiet "$container" "$work/base" / >/dev/null
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
buildah config --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
buildah commit --quiet "${policy[@]}" "$container" "docker.io/library/$base" >/dev/null

echo 'building the Dockerfile'
buildah bud --isolation chroot "${policy[@]}" --pull-never --format oci -t penstock:dockerfile . >"$work/log" 2>&1 ||
  { tail -30 "$work/log" >&2; exit 1; }
buildah push --quiet "${policy[@]}" localhost/penstock:dockerfile "oci-archive:$work/built.tar:penstock:dockerfile"

echo 'building without an engine'
"$node" image/main.ts --out "$work/own.tar"
"$node" test/image/compare.ts "$work/own.tar" "$work/built.tar"
TEST_IMAGE=$work/built.tar npm test -- test/image/container
