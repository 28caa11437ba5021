"""CPU, GPU, Ascend: what is there, how processes are started on them, what their errors mean.

Importing it does nothing.
"""
