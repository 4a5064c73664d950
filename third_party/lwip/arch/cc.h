#pragma once
/* What lwIP wants to know of the platform: a broken invariant ends the process (STYLE: invariants abort). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C"
#endif
uint32_t nsrun_random32(void);
#define LWIP_RAND() nsrun_random32()
#define LWIP_PLATFORM_DIAG(x) do { printf x; } while (0)
#define LWIP_PLATFORM_ASSERT(x) \
  do { fprintf(stderr, "nsrun: lwIP: %s (%s:%d)\n", x, __FILE__, __LINE__); abort(); } while (0)
