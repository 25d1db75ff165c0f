# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in a hosts file, hosts(5): one managed block, and nothing else in the file ever touched."""
