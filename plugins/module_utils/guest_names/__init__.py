# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the files of guests: hosts and resolv.conf of namespaces and containers, all planned together."""
