# SPDX-License-Identifier: GPL-3.0-or-later
"""Guest networks: ``setup.read`` understands them, ``documents`` and ``servers`` say what they mean for a host."""
