# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine of a host: its configuration, its bridge docker0, its rules, and what changes them."""
