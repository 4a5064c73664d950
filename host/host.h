#pragma once

// The name by which embedders include it.
#include "host/sandbox/host.h"  // IWYU pragma: export
