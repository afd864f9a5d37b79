"""The tasks, one file each, all in the same order.

Docstring; result; network to activations; ``decode``; files; then ``examples``,
``loss``, ``score`` and ``train``. See docs/adding-a-task.md.
"""
