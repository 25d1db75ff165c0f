# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which people's hosts have Docker set up, each with what comes of moving docker0 there."""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.hostwire.linux.tests.docker.machines import Machine, serving

DAEMON_JSON, DEFAULTS = "/etc/docker/daemon.json", "/etc/default/docker"
DROP_IN = "/etc/systemd/system/docker.service.d/way.conf"
SOCKET = "/etc/systemd/system/docker.socket.d/way.conf"
SECOND = "/run/systemd/system/second.service"
APP = "/run/systemd/system/app.service"
# As people write them: the container is made anew with each start.
APP_UNIT = """[Unit]
Requires=docker.service
After=docker.service
[Service]
ExecStartPre=-/usr/bin/docker rm -f app
ExecStart=/usr/bin/docker run --name app busybox sh -c "trap 'exit 0' TERM; while :; do sleep 1 & wait $$!; done"
ExecStop=/usr/bin/docker stop app
"""
WRAPPER = "/usr/local/bin/start-docker"
OLD, NEW = "172.17.0.1", "192.168.225.1/24"
COMMAND = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
FILES = (
    DAEMON_JSON,
    DEFAULTS,
    DROP_IN,
    SOCKET,
    WRAPPER,
    SECOND,
    APP,
    "/etc/default/docker-opts",
    "/run/flannel/docker",
    "/srv/d.json",
    "/srv/docker.json",
)


def exec_start(command: str, more: str = "") -> dict[str, str]:
    """A drop-in that starts dockerd by this command."""
    return {DROP_IN: f"[Service]\n{more}ExecStart=\nExecStart={command}\n"}


class Way(NamedTuple):
    """``files`` and ``commands`` set a host up, Docker is started, a container is run; then come the ``edits``.

    ``refused`` are the words that a refusal holds, "" where docker0 moves; ``blind``: the move can be tried with
    nothing looked at beforehand, and is taken back. ``warned`` are words of the plan. ``others`` are containers that
    run beside the one that all hosts have, ``kept`` addresses of docker0's that aren't Docker's.
    """

    files: Mapping[str, str] = {}
    commands: str = ""
    edits: Mapping[str, str] = {}
    afterwards: str = ""
    parameters: Mapping[str, Any] = {"bip": NEW}
    refused: str = ""
    warned: str = ""
    blind: bool = True
    others: Tuple[str, ...] = ()
    kept: Tuple[str, ...] = ()
    releases: tuple[str, ...] = ("bookworm", "trixie", "forky")


WAYS = {
    "just-installed": Way(),
    "the-same-address-in-a-smaller-subnet": Way(parameters={"bip": f"{OLD}/24"}),
    "foreign-keys": Way({DAEMON_JSON: '{\r\n\t"debug" : false,\r\n\t"labels":["a=1",  "b=2"]\r\n}\r\n'}),
    "bip-in-daemon.json": Way({DAEMON_JSON: '{"bip": "10.9.0.1/24"}'}),
    "bip-in-defaults": Way({DEFAULTS: 'DOCKER_OPTS="--bip=10.9.0.1/24 --debug=false"\n'}),
    "bip-in-drop-in": Way(exec_start(f"{COMMAND} --bip 10.9.0.1/24")),
    "bip-in-environment": Way(exec_start(f"{COMMAND} $OPTS", "Environment=OPTS=--bip=10.9.0.1/24\n")),
    "bip-by-a-specifier": Way(
        {
            "/etc/default/docker-opts": "OPTS=--bip=10.9.0.1/24\n",
            **exec_start(f"{COMMAND} $OPTS", "EnvironmentFile=-/etc/default/%p-opts\n"),
        }
    ),
    "bip-behind-a-shell": Way(exec_start(f"/bin/sh -c 'exec {COMMAND} --bip=10.9.0.1/24'"), refused="ExecStart"),
    "bip-in-a-wrapper": Way(
        {WRAPPER: f"#!/bin/sh\nexec {COMMAND} --bip=10.9.0.1/24\n", **exec_start(WRAPPER)},
        commands=f"chmod +x {WRAPPER}",
        refused=WRAPPER,
    ),
    "nothing-behind-a-shell": Way(exec_start(f"/bin/sh -c 'exec {COMMAND} --debug=false'")),
    "behind-nice": Way(exec_start(f"/usr/bin/nice -n 1 {COMMAND} --bip=10.9.0.1/24")),
    "config-file-elsewhere": Way(
        {"/srv/d.json": '{"bip": "10.9.0.1/24"}', **exec_start(f"{COMMAND} --config-file /srv/d.json")}
    ),
    "daemon.json-is-a-link": Way(
        {"/srv/d.json": '{"debug": false}'}, commands=f"mkdir -p /etc/docker; ln -s /srv/d.json {DAEMON_JSON}"
    ),
    "written-by-flannel": Way(
        {
            "/run/flannel/docker": 'DOCKER_OPT_BIP="--bip=10.9.0.1/24"\nDOCKER_OPT_MTU="--mtu=1450"\n',
            **exec_start(f"{COMMAND} $DOCKER_OPT_BIP $DOCKER_OPT_MTU", "EnvironmentFile=/run/flannel/docker\n"),
        },
        refused="/run/flannel/docker, line 1",
        blind=False,  # its file can't be written in the test either way: it is another program's
    ),
    "listens-at-docker0": Way(exec_start(f"{COMMAND} -H tcp://{OLD}:2375 --tls=false"), refused="hosts"),
    "hosts-at-docker0": Way(
        {
            DAEMON_JSON: f'{{"hosts": ["fd://", "tcp://{OLD}:2375"], "tls": false}}',
            **exec_start("/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock"),
        },
        refused="hosts",
    ),
    "socket-at-docker0": Way({SOCKET: f"[Socket]\nListenStream={OLD}:2375\n"}, refused="docker.socket"),
    "no-socket": Way(
        exec_start(COMMAND.replace("fd://", "unix:///var/run/docker.sock")), commands="systemctl stop docker.socket"
    ),
    "metrics-at-docker0": Way(
        {DAEMON_JSON: f'{{"metrics-addr": "{OLD}:9323", "experimental": true}}'}, refused="metrics-addr"
    ),
    "gateway-in-the-old-subnet": Way({DAEMON_JSON: '{"default-gateway": "172.17.0.254"}'}, refused="default-gateway"),
    "host-gateway-at-docker0": Way({DAEMON_JSON: f'{{"host-gateway-ip": "{OLD}"}}'}, warned="host-gateway-ip"),
    "proxyless": Way({DAEMON_JSON: '{"userland-proxy": false}'}),
    "without-iptables": Way({DAEMON_JSON: '{"iptables": false, "ip6tables": false}'}, releases=("trixie", "forky")),
    "with-ipv6": Way({DAEMON_JSON: '{"ipv6": true, "fixed-cidr-v6": "fd00:17::/64"}'}),
    "absent-after-a-fixed-cidr": Way({DAEMON_JSON: '{"fixed-cidr": "10.9.0.0/26"}'}, parameters={"state": "absent"}),
    "absent-after-pools": Way(
        {DAEMON_JSON: '{"default-address-pools": [{"base": "10.9.0.0/16", "size": 24}]}'},
        parameters={"state": "absent"},
    ),
    "edited-into-nonsense": Way(edits={DAEMON_JSON: '{"bip": "172.17.0.0/24"}'}, refused="172.17.0.0/24", blind=False),
    "edited-into-another-bip": Way(edits={DAEMON_JSON: '{"bip": "10.9.0.1/24"}'}, refused="10.9.0.1/24", blind=False),
    "edited-into-another-root": Way(edits={DAEMON_JSON: '{"data-root": "/srv"}'}, refused="data-root", blind=False),
    "edited-defaults": Way(edits={DEFAULTS: 'DOCKER_OPTS="--mtu=1400"\n'}, refused=DEFAULTS, blind=False),
    "live-restore": Way({DAEMON_JSON: '{"live-restore": true}'}, refused="live-restore", blind=False),
    "a-second-engine": Way(
        {SECOND: "[Service]\nType=notify\nExecStart=/usr/sbin/dockerd -H unix:///var/run/docker.sock\n"},
        afterwards="systemctl stop docker.socket docker; systemctl daemon-reload; systemctl start second",
        refused="two engines",
        blind=False,
    ),
    "edited-into-no-storage": Way(
        edits={DAEMON_JSON: '{"storage-driver": "nope"}'}, refused="storage-driver", blind=False
    ),
    "edited-into-no-runtime": Way(
        edits={DAEMON_JSON: '{"default-runtime": "nope"}'}, refused="default-runtime", blind=False
    ),
    "edited-without-harm": Way(
        edits={DAEMON_JSON: '{"storage-driver": "overlay2", "log-opts": {"max-size": "10m"}, "labels": ["a=1"]}'},
        blind=False,
    ),
    "edited-into-no-start": Way(
        edits={DROP_IN: "[Service]\nExecStartPre=/bin/false\n"},
        afterwards="systemctl daemon-reload",
        refused=f"{DROP_IN}: was changed",
        blind=False,
    ),
    "edited-and-not-read": Way(
        edits={DROP_IN: "[Service]\nExecStartPre=/bin/false\n"},
        refused="systemctl daemon-reload",
        blind=False,
    ),
    "data-root-of-yesterday": Way(
        {DAEMON_JSON: '{"data-root": "/var/lib/docker/yesterday"}'},
        afterwards=f"rm {DAEMON_JSON}",
        refused="data-root",
        blind=False,
    ),
    "data-root-elsewhere": Way({DAEMON_JSON: '{"data-root": "/var/lib/docker/elsewhere"}'}),
    "condition-of-yesterday": Way(
        {DROP_IN: "[Unit]\nConditionPathExists=/srv/yes\n"},
        commands="touch /srv/yes",
        afterwards="rm /srv/yes",
        refused="ConditionPathExists=/srv/yes",
        blind=False,
    ),
    "masked-socket": Way(afterwards="systemctl mask --runtime docker.socket", refused="is masked", blind=False),
    "masked-requirement": Way(
        {DROP_IN: "[Unit]\nRequires=containerd.service\n"},
        afterwards="systemctl mask --runtime containerd.service",
        refused="containerd.service: is masked",
        blind=False,
    ),
    "stops-for-nobody": Way({DROP_IN: "[Unit]\nRefuseManualStop=yes\n"}, refused="RefuseManualStop", blind=False),
    "daemon.json-is-nothing": Way(
        commands=f"mkdir -p /etc/docker; ln -s /dev/null {DAEMON_JSON}",
        refused="it leads to /dev/null",
        blind=False,
        releases=("trixie", "forky"),
    ),
    "daemon.json-is-mounted": Way(
        {"/srv/d.json": "{}", DAEMON_JSON: "{}"},
        commands=f"mount --bind /srv/d.json {DAEMON_JSON}",
        refused="another file is mounted there",
        blind=False,
    ),
    "daemon.json-says-nothing": Way(
        {DAEMON_JSON: '{"bip": "", "fixed-cidr": "", "default-address-pools": [], "mtu": 0, "dns": null}'}
    ),
    "daemon.json-with-a-mark": Way({DAEMON_JSON: '\ufeff{"debug": false}\n'}, releases=("forky",)),
    "config-file-by-a-specifier": Way(
        {"/srv/docker.json": "{}", **exec_start(f"{COMMAND} --config-file /srv/%p.json")}
    ),
    "config-file-without-a-slash": Way(
        {"/srv/d.json": "{}", **exec_start(f"{COMMAND} --config-file d.json", "WorkingDirectory=/srv\n")}
    ),
    "a-container-listens-at-docker0": Way(
        afterwards="docker run -d --name side --network host busybox httpd -f -p 172.17.0.1:9000 >/dev/null",
        refused="container side: ",
        blind=False,
        others=("side",),
    ),
    "a-container-of-a-unit": Way(
        {APP: APP_UNIT},
        afterwards="systemctl daemon-reload; systemctl start app; until docker ps | grep -q app; do sleep 0.1; done",
        others=("app",),
    ),
    "addresses-of-others": Way(
        afterwards="ip addr add 10.1.1.1/24 dev docker0", kept=("10.1.1.1/24",), blind=False, releases=("forky",)
    ),
    "without-masquerading": Way(parameters={"ip_masq": False, "icc": False}),
    "a-swarm": Way(
        afterwards="docker swarm init --advertise-addr 127.0.0.1 >/dev/null",
        parameters={"bip": "10.0.1.1/24"},
        refused="10.0.0.0/8",
        blind=False,
    ),
}
# On the other engines too, whatever the setting is: those that once left a host without Docker, and one that is plain.
SAMPLE = (
    "just-installed",
    "bip-by-a-specifier",
    "bip-behind-a-shell",
    "hosts-at-docker0",
    "socket-at-docker0",
    "edited-into-nonsense",
    "edited-into-no-storage",
    "masked-socket",
    "a-container-of-a-unit",
)


class State(NamedTuple):
    """What must be the same after a refusal and after a way back."""

    active: str
    docker0: tuple[str, ...]
    running: tuple[str, ...]
    web: str
    files: tuple[Optional[str], ...]
    left: str


def set_up(machine: Machine, way: Way) -> None:
    """A host as this one is."""
    machine.reset()
    machine.run(
        "sh", "-c", "systemctl stop docker.socket docker; ip link delete docker0; rm -rf /var/lib/docker/network"
    )
    for path, text in way.files.items():
        machine.write(path, text)
    machine.run("sh", "-c", f"{way.commands or ':'}; systemctl daemon-reload")
    if OLD in "".join(way.files.values()):  # a listener there needs the bridge first, as it has after the first start
        machine.run(
            "sh", "-c", f"ip link add docker0 type bridge; ip link set docker0 up; ip addr add {OLD}/16 dev docker0"
        )
    machine.start_docker()
    machine.run("sh", "-c", IMAGE)
    machine.docker("run", "-d", "--restart", "always", "--name", "web", "-p", "8080:80", "busybox", *serving("web"))
    for path, text in way.edits.items():
        machine.write(path, text)
    if way.afterwards:
        machine.run("sh", "-c", way.afterwards)


def clean_up(machine: Machine) -> None:
    """Take away what a way leaves behind that a reset doesn't."""
    commands = (
        *("systemctl unmask --runtime docker.socket containerd.service", f"umount {DAEMON_JSON}"),
        *("systemctl stop app", "docker rm -f web side app", "docker swarm leave --force", "systemctl stop second"),
        *(f"rm -f {' '.join(FILES)}", "systemctl daemon-reload"),
    )
    machine.run("sh", "-c", "; ".join(f"timeout 20 {command} >/dev/null 2>&1" for command in commands), check=False)


def state(machine: Machine) -> State:
    found = json.loads(machine.run("python3", "-c", LOOK, *FILES))
    answer = machine.outside_asks(8080, 5.0) if found["running"] else ""
    return State(
        found["active"], tuple(found["docker0"]), tuple(found["running"]), answer, tuple(found["files"]), found["left"]
    )


# With another data-root there is none yet.
IMAGE = "docker image inspect busybox || docker import /usr/local/share/hostwire/busybox.tar busybox"
# In one program, as each one that is started on a host takes its time.
LOOK = """
import glob, json, subprocess, sys
def said(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.split()
def text(path):
    try:
        with open(path, newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
left = [path for place in ("/etc/docker/", "/srv/", "/etc/default/") for path in glob.glob(place + ".*.new")]
print(json.dumps({
    "active": " ".join(said("systemctl", "is-active", "docker")),
    "docker0": said("ip", "-4", "-brief", "address", "show", "docker0")[2:],
    "running": sorted(said("docker", "ps", "--format", "{{.Names}}")),
    "files": [text(path) for path in sys.argv[1:]],
    "left": " ".join(left + glob.glob("/var/lib/hostwire/*.steps")),
}))
"""
