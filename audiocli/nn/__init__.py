"""Networks: front-ends, families one a file, training, and the folders models live in.

Nothing is imported here: the registry is light, and the networks load torch.
"""
