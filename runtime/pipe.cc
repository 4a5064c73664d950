#include "runtime/pipe.h"

#include <fcntl.h>
#include <unistd.h>

namespace nsrun {

Result<PipeEnds> make_pipe(const std::string& doing, int flags) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | flags) < 0) return errno_error(doing);
  return PipeEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace nsrun
