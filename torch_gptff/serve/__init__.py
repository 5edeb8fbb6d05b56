"""A page to work in: jobs of the command line in a queue, in a browser on this machine.

This package knows no command. It is given :class:`~torch_gptff.serve.kinds.Kind`, what a job may do and with which
settings, and the command line of a process that does it.
"""
