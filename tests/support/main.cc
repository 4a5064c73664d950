#define CATCH_CONFIG_MAIN  // of version 2; version 3 has its main in Catch2::Catch2WithMain
#include "tests/support/catch.h"
