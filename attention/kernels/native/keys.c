#include "lanes.h"
EXPORT float KERNEL(probe)(const float *x) { return sum(exponential(LOAD(reals, x))); }
