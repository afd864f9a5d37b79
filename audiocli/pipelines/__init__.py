"""What takes several tasks together: the layer between the tasks and the command line.

A task never imports another. What needs two of them, such as the notes of vocals that are separated
first, stands here: :mod:`audiocli.pipelines.vocals` gives one task what another has found.
"""
