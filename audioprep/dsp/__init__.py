"""Arrays in, arrays out: the numeric kernels, without files, processes or torch.

The same bytes are wanted on every machine, so nothing here goes through BLAS, which picks its kernels, and with them
the order of a sum, by CPU. embedding.py is the exception in all of this: a pretrained network is files and torch, so it is
imported only where an embedding is made.
"""
