#!/bin/sh
# Who reaches your server, checked: for a CI system that runs a script, for a git hook, for your own machine.
#
# Run it where netlab.yaml is; what it is called with goes to `netlab check`. It ends with that command's exit
# code: 0 only if every dial was made and is as the file says.
#
#   NETLAB          what pip installs: a name with or without a version, the URL of a wheel, git+https://...
#   NETLAB_HOME     where it is installed, once
#   NETLAB_RESULTS  where everything that came of it is written
set -eu
: "${NETLAB:=hftp-netlab}"
: "${NETLAB_HOME:=${XDG_CACHE_HOME:-$HOME/.cache}/netlab}"
: "${NETLAB_RESULTS:=netlab-results}"

if [ ! -x "$NETLAB_HOME/bin/netlab" ]; then
  python3 -m venv "$NETLAB_HOME"
  "$NETLAB_HOME/bin/pip" install --quiet "$NETLAB"
fi
PATH="$NETLAB_HOME/bin:$PATH"

# Where no lab can be made, `netlab check` ends with exit code 4, and says what is in the way: on Ubuntu, for one,
# AppArmor, which restricts the user namespaces of ordinary users. As root, or with
# `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, it works there, too.
mkdir -p "$NETLAB_RESULTS"
exec netlab check --json "$NETLAB_RESULTS/run.json" --html "$NETLAB_RESULTS/run.html" \
  --junit "$NETLAB_RESULTS/junit.xml" --bundle "$NETLAB_RESULTS/run.zip" "$@"
