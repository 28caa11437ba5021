"""The family as tables and arithmetic: sizes, layers, parameter names and shapes, initial values. No framework."""
