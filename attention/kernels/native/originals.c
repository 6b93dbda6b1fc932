#include "lanes.h"
EXPORT int KERNEL(originals)(void) { return 1; }
