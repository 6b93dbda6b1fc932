"""From similarities to a distribution: the temperature, the null key, and the weights."""
