"""Posteriors over the weights of an ordinary network, which start from its trained point."""
