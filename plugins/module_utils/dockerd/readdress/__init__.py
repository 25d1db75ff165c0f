# SPDX-License-Identifier: GPL-3.0-or-later
"""Another address for docker0: wish, situation, plan, and a run that ends with the new state or the old one."""
