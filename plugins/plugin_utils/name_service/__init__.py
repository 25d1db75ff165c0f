# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has which name: records out of several sources, and what a hosts file or a DNS server says of them."""
