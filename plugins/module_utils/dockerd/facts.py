# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the engine for what it has: version, networks, containers."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from ..docker_api import Api, NotFound
from ..errors import MissingOnHost
from .model import (
    DEFAULT_BRIDGE,
    DEFAULT_NETWORK,
    Container,
    Endpoint,
    Engine,
    Network,
    PublishedPort,
    Subnet,
)

SWARM_POOL = "10.0.0.0/8"  # swarmkit's default
_INTERVAL = 30.0  # seconds between two checks of health unless another is asked for
_WILDCARDS = {"": {4, 6}, "0.0.0.0": {4}, "::": {6}}


def read_engine(api: Api) -> Engine:
    """All that the engine says. Raises MissingOnHost where none answers or what answers is no engine."""
    version, info = api.get("/version"), api.get("/info")
    listed, networks = api.get("/containers/json?all=1"), api.get("/networks")
    try:
        return Engine(
            version=str(version["Version"]),
            api=str(version["ApiVersion"]),
            live_restore=bool(info.get("LiveRestoreEnabled")),
            firewall=str((info.get("FirewallBackend") or {}).get("Driver") or ""),
            networks=tuple(sorted((_network(entry) for entry in networks), key=lambda network: network.name)),
            containers=tuple(sorted(_containers(api, listed), key=lambda container: container.name)),
            root=str(info.get("DockerRootDir") or ""),
            storage=str(info.get("Driver") or ""),
            swarm=_swarm(info.get("Swarm") or {}),
            swarm_pools=_swarm_pools(info.get("Swarm") or {}),
            traits=_traits(info),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MissingOnHost(f"what answers at {api.path} doesn't speak the Docker API: {error!r}") from error


def _traits(info: Mapping[str, Any]) -> Dict[str, Tuple[str, ...]]:
    """What the engine runs with, by daemon.json's key, where the key names something that has to be there."""
    runtimes = tuple(str(name) for name in info.get("Runtimes") or ())
    found = {
        "default-runtime": runtimes,
        "runtimes": runtimes,
        "cgroup-driver": (str(info.get("CgroupDriver") or ""),),
        "authorization-plugins": tuple(str(name) for name in (info.get("Plugins") or {}).get("Authorization") or ()),
        "userns-remap": tuple(str(one) for one in info.get("SecurityOptions") or () if str(one) == "name=userns"),
    }
    return {key: values for key, values in found.items() if any(values)} if runtimes else {}


def _swarm(swarm: Mapping[str, Any]) -> str:
    if swarm.get("LocalNodeState") in (None, "", "inactive"):
        return ""
    return "manager" if swarm.get("ControlAvailable") else "worker"


def _swarm_pools(swarm: Mapping[str, Any]) -> Tuple[str, ...]:
    """The pools, which a manager tells where they were chosen; else Swarm's own is meant. A worker doesn't know."""
    if _swarm(swarm) != "manager":
        return ()
    cluster: Mapping[str, Any] = swarm.get("Cluster") or {}
    return tuple(str(pool) for pool in cluster.get("DefaultAddrPool") or (SWARM_POOL,))


def read_container(api: Api, name: str) -> Container:
    """One container by name or id. Raises NotFound."""
    return container(api.get(f"/containers/{name}/json"))


def _containers(api: Api, listed: Iterable[Mapping[str, Any]]) -> List[Container]:
    found = []
    for entry in listed:
        try:
            found.append(read_container(api, entry["Id"]))
        except NotFound:  # gone since it was listed
            continue
    return found


def _network(entry: Mapping[str, Any]) -> Network:
    driver, name, options = str(entry["Driver"]), str(entry["Name"]), dict(entry.get("Options") or {})
    bridge = ""
    if driver == "bridge":
        own = DEFAULT_BRIDGE if name == DEFAULT_NETWORK else f"br-{entry['Id'][:12]}"
        bridge = options.get("com.docker.network.bridge.name") or own
    return Network(
        id=str(entry["Id"]),
        name=name,
        driver=driver,
        bridge=bridge,
        internal=bool(entry.get("Internal")),
        ipv6=bool(entry.get("EnableIPv6")),
        subnets=tuple(_subnet(config) for config in (entry.get("IPAM") or {}).get("Config") or ()),
        options=options,
    )


def _subnet(config: Mapping[str, Any]) -> Subnet:
    # 20.10 tells the gateway of docker0 with its prefix length where a bip is set
    gateway = str(config.get("Gateway") or "").partition("/")[0]
    return Subnet(str(config.get("Subnet") or ""), gateway, str(config.get("IPRange") or ""))


def container(entry: Mapping[str, Any]) -> Container:
    """A container out of the engine's answer to an inspection."""
    state, host = entry["State"], entry["HostConfig"]
    ports = _ports(host.get("PortBindings") or {}, (entry.get("NetworkSettings") or {}).get("Ports") or {})
    networks: Mapping[str, Any] = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    return Container(
        id=str(entry["Id"]),
        name=str(entry["Name"]).lstrip("/"),
        running=bool(state["Running"]),
        paused=bool(state.get("Paused")),
        status=str(state.get("Status") or ""),
        policy=str((host.get("RestartPolicy") or {}).get("Name") or "no"),
        mode=_mode(str(host.get("NetworkMode") or "")),
        health=_health(state),
        auto_remove=bool(host.get("AutoRemove")),
        pid=int(state.get("Pid") or 0),
        endpoints=tuple(_endpoint(name, networks[name] or {}) for name in sorted(networks)),
        ports=tuple(sorted(ports)),
        ipv4_only=tuple(sorted(port for port, families in ports.items() if families == {4})),
        ipv6_only=tuple(sorted(port for port, families in ports.items() if families == {6})),
        started=str(state.get("StartedAt") or ""),
        restarts=int(entry.get("RestartCount") or 0),
        settings=tuple(_settings(entry.get("Config") or {}, host)),
        first_check=_first_check((entry.get("Config") or {}).get("Healthcheck") or {}),
    )


def _first_check(check: Mapping[str, Any]) -> float:
    """Seconds; the engine tells nanoseconds, and 0 for its own default. From 25.0 on it looks sooner at first."""
    interval = int(check.get("Interval") or 0) / 1e9 or _INTERVAL
    sooner = int(check.get("StartInterval") or 0) / 1e9
    return min(interval, sooner) if sooner and check.get("StartPeriod") else interval


def _settings(config: Mapping[str, Any], host: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    """What of a container's making may name an address of the host's."""
    for server in host.get("Dns") or ():
        yield "--dns", str(server)
    for line in host.get("ExtraHosts") or ():
        yield f"--add-host {str(line).partition(':')[0]}", str(line).partition(":")[2]
    for name, value in ((host.get("LogConfig") or {}).get("Config") or {}).items():
        yield f"--log-opt {name}", str(value)
    for line in config.get("Env") or ():
        yield f"--env {str(line).partition('=')[0]}", str(line).partition("=")[2]


def _mode(mode: str) -> str:
    return DEFAULT_NETWORK if mode in ("default", "") else mode


def _health(state: Mapping[str, Any]) -> str:
    health = str((state.get("Health") or {}).get("Status") or "")
    return "" if health == "none" else health


def _endpoint(network: str, settings: Mapping[str, Any]) -> Endpoint:
    asked: Mapping[str, Any] = settings.get("IPAMConfig") or {}
    return Endpoint(
        network=network,
        ipv4=str(settings.get("IPAddress") or ""),
        ipv6=str(settings.get("GlobalIPv6Address") or ""),
        mac=str(settings.get("MacAddress") or ""),
        static_ipv4=str(asked.get("IPv4Address") or ""),
        static_ipv6=str(asked.get("IPv6Address") or ""),
    )


def _ports(asked: Mapping[str, Any], given: Mapping[str, Any]) -> Dict[PublishedPort, Set[int]]:
    """The ports as they are while it runs, as they were asked for while it doesn't; and in which families."""
    found: Dict[PublishedPort, Set[int]] = {}
    for name, bindings in {**asked, **{name: entries for name, entries in given.items() if entries}}.items():
        number, dummy, protocol = name.partition("/")
        for binding in bindings or ():
            port = _port(protocol or "tcp", int(number), binding)
            families = _WILDCARDS.get(binding.get("HostIp") or "", set()) if port.host_port else set()
            found.setdefault(port, set()).update(families)
    return found


def _port(protocol: str, number: int, binding: Mapping[str, Optional[str]]) -> PublishedPort:
    address = binding.get("HostIp") or ""
    host_port = (binding.get("HostPort") or "0").partition("-")[0]
    return PublishedPort(protocol, number, "" if address in ("0.0.0.0", "::") else address, int(host_port))
