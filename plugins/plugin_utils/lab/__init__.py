# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab, simulated hosts on the controller: ``state`` is what the plugins use, ``launch`` is a program of its own."""
