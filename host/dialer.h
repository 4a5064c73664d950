#pragma once

// The name by which embedders include it.
#include "host/flow/dialer.h"  // IWYU pragma: export
