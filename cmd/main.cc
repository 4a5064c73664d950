#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "cmd/hide_password.h"
#include "cmd/options.h"
#include "cmd/reporter.h"
#include "cmd/run.h"
#include "cmd/subcommands.h"

namespace {

// The number of a standard stream that came closed must not become a socket of ours, into which an error
// message would then be written. The command finds the stream closed, as it came.
void hold_standard_streams() {
  for (int fd; (fd = ::open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0;)
    if (fd > 2) {
      ::close(fd);
      return;
    }
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  if (const auto status = nsrun::run_subcommand(argc, argv)) return *status;
  const auto options = nsrun::parse_options(argc, argv);
  if (!options) return nsrun::fail(options.error());
  if (!options->answer.empty()) return std::fputs(options->answer.c_str(), stdout) < 0;
  nsrun::hide_passwords(argc, argv);
  return nsrun::run_command(*options);
}
