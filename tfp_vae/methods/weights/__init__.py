"""What is done about the weights of a network: each method a file that registers itself.

Nothing here imports TensorFlow until a method is used: a program asks what a method takes before.
"""

from tfp_vae.methods.weights.base import METHODS, Method

__all__ = ["METHODS", "Method"]
