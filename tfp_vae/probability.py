"""TensorFlow Probability, imported here and nowhere else.

`tests/test_probability.py` lists the names of it that the package needs, so that a new version is
checked before anything is built with it.
"""

import tensorflow_probability as tfp

tfd = tfp.distributions
tfb = tfp.bijectors
mcmc = tfp.mcmc
math = tfp.math
ParameterProperties = tfp.util.ParameterProperties
