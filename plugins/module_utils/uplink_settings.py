# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host behaves on its LAN, by settings of the link that leads there: a bridge does as its uplink did."""

from __future__ import annotations

from typing import Optional, Tuple

from . import sysctl

# With the link's name to be filled in.
SETTINGS = (
    *(f"net/ipv4/conf/{{}}/{name}" for name in (
        "accept_redirects", "accept_source_route", "arp_announce", "arp_filter", "arp_ignore", "forwarding",
        "log_martians", "promote_secondaries", "proxy_arp", "rp_filter", "secure_redirects", "send_redirects",
    )),
    *(f"net/ipv6/conf/{{}}/{name}" for name in (
        "disable_ipv6", "stable_secret", "addr_gen_mode", "accept_ra_defrtr", "accept_ra_pinfo", "accept_ra_rtr_pref",
        "accept_ra_rt_info_max_plen", "accept_redirects", "autoconf", "forwarding", "ra_defrtr_metric", "use_tempaddr",
        "accept_ra",
    )),
)  # fmt: skip
SECRET = "net/ipv6/conf/{}/stable_secret"  # can't be read until it is set; sets the next one, too
MODE = "net/ipv6/conf/{}/addr_gen_mode"
ADVERTISEMENTS = "net/ipv6/conf/{}/accept_ra"
NO_IPV6 = "net/ipv6/conf/{}/disable_ipv6"


def settings_of(link: str) -> Tuple[Tuple[str, Optional[str]], ...]:
    """Each of SETTINGS, as it is on a link of the thread's namespace; None where that can't be read."""
    return tuple((template, sysctl.read(template.format(link))) for template in SETTINGS)


def same_settings(link: str, other: str) -> None:
    """Make those of another link of the thread's namespace what they are on this one."""
    for template, value in settings_of(link):
        path = template.format(other)
        now = sysctl.read(path) if value is not None else None
        if value is not None and value != now and (now is not None or template == SECRET):
            sysctl.write(path, value)
