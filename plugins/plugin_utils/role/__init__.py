# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the collection's roles: which there are, and what is wrong with what they say."""
