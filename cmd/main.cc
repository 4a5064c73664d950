#include <cstdio>

#include "cmd/hide_password.h"
#include "cmd/options.h"
#include "cmd/run.h"

int main(int argc, char** argv) {
  const auto options = nsrun::parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "nsrun: %s\n", options.error().message().c_str());
    return static_cast<int>(options.error().exit);
  }
  if (!options->answer.empty()) return std::fputs(options->answer.c_str(), stdout) < 0;
  nsrun::hide_password(argc, argv, options->dial);
  return nsrun::run_command(*options);
}
