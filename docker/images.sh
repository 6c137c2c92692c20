#!/bin/sh
# Builds hftp-server and hftp-client. Which base they get:
#   $BASE, if it is set;
#   else netlab-base:<codename>, if the engine has it: somebody ran `make base-image`;
#   else the official slim image, if the engine has it or can pull it;
#   else netlab-base:<codename>, built now from the distribution's packages (Debian and Ubuntu, root).
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
official=python:3.13-slim

variables=$("$python" docker/engine.py env)
eval "$variables"
docker version >/dev/null 2>&1 || { echo "no container engine answers; try: make engine" >&2; exit 4; }

has() { docker image inspect "$1" >/dev/null 2>&1; }

if [ -z "${BASE:-}" ]; then
	# shellcheck source=/dev/null
	local_base=netlab-base:$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
	if has "$local_base"; then
		BASE=$local_base
	elif has "$official" || docker pull --quiet "$official" >/dev/null 2>&1; then
		BASE=$official
	else
		echo "$official can't be pulled: building $local_base from the distribution's packages (once)"
		"$python" docker/base_image.py
		BASE=$local_base
	fi
fi

version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' app/hftp/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for target in server client; do
	# Without a network: what is built depends on this tree and on the base, and on nothing else.
	docker buildx build --quiet --network none --file docker/Dockerfile --target "$target" --tag "hftp-$target" \
		--build-arg BASE="$BASE" --build-arg VERSION="$version" --build-arg REVISION="$revision" . >/dev/null
done
echo "built hftp-server and hftp-client $version on $BASE"
