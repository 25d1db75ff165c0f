#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs inside a fresh image, in namespaces of its own: what turns an installed Debian into a test host.
set -eu

# A test host writes to the machine's own kernel, so no setting that isn't about its own network may be in here.
rm -f /usr/lib/sysctl.d/*.conf /etc/sysctl.d/*.conf
# Nothing to mount, no console to log in at, nobody to fetch updates from.
systemctl mask --quiet \
    dev-hugepages.mount dev-mqueue.mount proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    console-getty.service getty.target getty@tty1.service modprobe@.service systemd-logind.service \
    systemd-journald-audit.socket apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer
# The Docker engine inside is started by the tests that want one.
systemctl disable --quiet docker.service docker.socket containerd.service

# The inner containers' image, for `docker import`: one static program under many names.
box=$(mktemp -d)
mkdir -p "$box/bin" "$box/tmp" "$box/etc" "$box/proc" "$box/sys" "$box/dev"
cp "$(command -v busybox)" "$box/bin/busybox"
for name in $(busybox --list); do
    [ "$name" = busybox ] || ln -s busybox "$box/bin/$name"
done
mkdir -p /usr/local/share/hostwire
tar --directory="$box" --create --file=/usr/local/share/hostwire/busybox.tar .
rm -r "$box"

: >/etc/machine-id  # each container gets its own at its first boot
rm -f /etc/resolv.conf /etc/hostname /var/lib/dbus/machine-id
rm -rf /debootstrap /var/cache/apt/archives /var/lib/apt/lists /var/log/*.log /usr/share/doc /usr/share/man /usr/share/locale
mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial
