#!/usr/bin/env bash
# Sets vnetprobe up on an Azure Machine Learning compute instance; safe to run at every start.
#
#   compute-instance.sh [FOLDER]
#
# FOLDER (default: the script's own) holds
#   vnetprobe           the static binary (make static)
#   probes.toml         the configuration
#   vnetprobe.service   the unit of the repository's deploy/
# for example ~/cloudfiles/code/Users/NAME/vnetprobe, which the workspace's file share keeps.
#
# As root (a creation or startup script of the instance, or sudo where it is allowed) it installs a
# system service. As anybody else it installs for that person and starts it there, without sudo.
set -euo pipefail

say() { printf 'compute-instance: %s\n' "$*"; }
fail() {
    printf 'compute-instance: %s\n' "$*" >&2
    exit 1
}

folder=${1:-$(dirname "$(readlink -f "$0")")}
for file in vnetprobe probes.toml vnetprobe.service; do
    [ -r "$folder/$file" ] || fail "$folder/$file is missing"
done

if [ "$(id -u)" = 0 ]; then
    binary=/usr/local/bin/vnetprobe
    config=/etc/vnetprobe/probes.toml
    unit=/etc/systemd/system/vnetprobe.service
    control=(systemctl)
    wanted=multi-user.target
else
    : "${HOME:?is not set}"
    binary=$HOME/.local/bin/vnetprobe
    config=${XDG_CONFIG_HOME:-$HOME/.config}/vnetprobe/probes.toml
    unit=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/vnetprobe.service
    control=(systemctl --user)
    wanted=default.target
fi

# put SOURCE TARGET MODE: installs what differs, whole or not at all. A running binary is replaced,
# not written over.
changed=()
put() {
    if cmp --silent "$1" "$2"; then
        return
    fi
    install -D --mode="$3" "$1" "$2.new"
    mv --force "$2.new" "$2"
    changed+=("$2")
    say "installed $2"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A file on the workspace's share has no execute permission, so a copy is tried.
install --mode=0755 "$folder/vnetprobe" "$work/vnetprobe"
"$work/vnetprobe" validate --config "$folder/probes.toml" || fail "$folder/probes.toml was not installed"

if [ "$(id -u)" = 0 ]; then
    sed "s|^ExecStart=/usr/bin/vnetprobe|ExecStart=$binary|" "$folder/vnetprobe.service" >"$work/unit"
else
    # A person's service manager may not change users, mounts or devices.
    cat >"$work/unit" <<UNIT
[Unit]
Description=vnetprobe: reachability of an Azure Machine Learning workspace

[Service]
Type=notify
ExecStart="$binary" serve --config "$config"
ExecReload=/bin/sh -c 'kill -HUP \$MAINPID'
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
WatchdogSec=30
StateDirectory=vnetprobe
MemoryMax=256M
LimitNOFILE=16384
NoNewPrivileges=yes

[Install]
WantedBy=$wanted
UNIT
fi

put "$work/vnetprobe" "$binary" 0755
put "$folder/probes.toml" "$config" 0644
put "$work/unit" "$unit" 0644

if ! "${control[@]}" show-environment >/dev/null 2>&1; then
    say "no service manager answers; start it yourself: $binary serve --config $config"
    exit 0
fi
"${control[@]}" daemon-reload
"${control[@]}" enable --quiet vnetprobe.service
if [ ${#changed[@]} -gt 0 ]; then
    "${control[@]}" restart vnetprobe.service
else
    "${control[@]}" start vnetprobe.service
fi
say "page: http://127.0.0.1:19115/ (ssh -L 19115:127.0.0.1:19115, or the terminal's curl)"
